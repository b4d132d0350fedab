//! Requirements of the protocols Engine.IO 4 and Socket.IO 5, tested on an echo server with our settings and layers.
//! The official suites, which have to be downloaded, run every night; `docs/decisions/protocol-suites.md` lists the
//! tests that fail.
//!
//! socketioxide sends its first ping at once and not after an interval, so these clients answer pings at any time.

use std::time::Duration;

use deskline::net::Heartbeat;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Client as Http;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::SOON;

#[path = "../../../examples/protocol_echo/server.rs"]
mod echo;
mod engine;
mod socket;

/// Separates the packets of one body.
const SEPARATOR: char = '\u{1e}';

/// Long enough for a busy machine to answer a ping.
const PATIENT: Heartbeat = Heartbeat { interval: Duration::from_millis(300), timeout: Duration::from_secs(20) };

/// An echo server, stopped on drop.
struct Echo {
    host: String,
    http: Http,
    _stop: DropGuard,
}

impl Echo {
    async fn start(heartbeat: Heartbeat) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        tokio::spawn(echo::serve(listener, heartbeat, stop.clone()));
        Self { host, http: Http::new(), _stop: stop.drop_guard() }
    }

    /// GETs. Returns the status and the body.
    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(format!("http://{}{path}", self.host)).timeout(SOON).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// POSTs. Returns the status.
    async fn post(&self, path: &str, body: impl Into<String>) -> u16 {
        let request = self.http.post(format!("http://{}{path}", self.host)).timeout(SOON).body(body.into());
        request.send().await.unwrap().status().as_u16()
    }

    /// Opens a websocket; an error is the status of a refusal.
    async fn websocket(&self, path: &str) -> Result<Wire, u16> {
        let stream = TcpStream::connect(&self.host).await.unwrap();
        let opening = client_async(format!("ws://{}{path}", self.host), stream);
        match timeout(SOON, opening).await.unwrap() {
            Ok((socket, _)) => Ok(Wire(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Whether a websocket was refused, or closed before the first frame.
async fn is_refused(opened: Result<Wire, u16>) -> bool {
    match opened {
        Ok(mut wire) => wire.is_closed().await,
        Err(status) => status == 400,
    }
}

/// A websocket that answers pings.
struct Wire(WebSocketStream<TcpStream>);

impl Wire {
    async fn send(&mut self, packet: &str) {
        self.0.send(Message::text(packet)).await.unwrap();
    }

    /// The next frame other than a ping; `None` if the websocket is closed.
    async fn next(&mut self) -> Option<Message> {
        loop {
            match timeout(SOON, self.0.next()).await.expect("neither a frame nor a close in time")?.ok()? {
                Message::Text(ping) if ping.as_str() == "2" => self.0.send(Message::text("3")).await.ok()?,
                Message::Close(_) => return None,
                Message::Ping(_) | Message::Pong(_) => {}
                message => return Some(message),
            }
        }
    }

    /// The next packet.
    async fn text(&mut self) -> String {
        self.next().await.expect("it is closed").into_text().unwrap().as_str().to_owned()
    }

    /// Whether it is closed, possibly after a close packet.
    async fn is_closed(&mut self) -> bool {
        match self.next().await {
            None => true,
            Some(Message::Text(farewell)) if farewell.as_str() == "1" => self.next().await.is_none(),
            Some(other) => panic!("{other:?} comes"),
        }
    }
}
