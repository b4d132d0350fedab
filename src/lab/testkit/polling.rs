//! The long-polling transport of the Socket.IO client: packets by GET and POST.

use std::collections::VecDeque;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::http::request;
use super::socketio::{ClientError, Dispatcher, Events, Outgoing};

/// Separates the packets of one body.
const SEPARATOR: char = '\u{1e}';

/// Timeout of a poll. The server responds within its ping interval.
const POLL: Duration = Duration::from_mins(1);

/// One Engine.IO session.
pub(super) struct Polling {
    url: String,
    path: String,
    /// Packets that were received and not read yet.
    received: VecDeque<String>,
}

impl Polling {
    /// Opens a session: both handshakes, up to the server's `40`, which is returned as well.
    pub(super) async fn open(url: &str, auth: &str) -> Result<(Self, String), ClientError> {
        let base = "/socket.io/?EIO=4&transport=polling";
        let mut session = Self { url: url.to_owned(), path: base.to_owned(), received: VecDeque::new() };
        session.poll().await?;
        let opened = session.received.pop_front().unwrap_or_default();
        let unexpected = || ClientError::Unexpected(opened.clone());
        let open: Value = serde_json::from_str(opened.strip_prefix('0').ok_or_else(unexpected)?).unwrap_or_default();
        let sid = open["sid"].as_str().ok_or_else(unexpected)?;
        session.path = format!("{base}&sid={sid}");
        session.post(format!("40{auth}")).await?;
        loop {
            match session.next().await? {
                packet if packet == "2" => session.post("3".into()).await?,
                packet if packet.starts_with("40") => return Ok((session, packet)),
                packet => return Err(ClientError::Unexpected(packet)),
            }
        }
    }

    async fn next(&mut self) -> Result<String, ClientError> {
        loop {
            if let Some(packet) = self.received.pop_front() {
                return Ok(packet);
            }
            self.poll().await?;
        }
    }

    async fn poll(&mut self) -> Result<(), ClientError> {
        let asked = request(&self.url, Method::GET, &self.path, None, String::new());
        let (status, body) = timeout(POLL, asked).await.unwrap_or(Err(ClientError::TimedOut(POLL)))?;
        if status != 200 {
            return Err(ClientError::Closed);
        }
        self.received.extend(String::from_utf8_lossy(&body).split(SEPARATOR).map(str::to_owned));
        Ok(())
    }

    async fn post(&self, packet: String) -> Result<(), ClientError> {
        match request(&self.url, Method::POST, &self.path, None, packet).await? {
            (200, _) => Ok(()),
            _ => Err(ClientError::Closed),
        }
    }

    /// Forwards packets both ways until either side is closed.
    pub(super) async fn forward(self, mut to_send: mpsc::UnboundedReceiver<Outgoing>, events: Events) {
        let mut dispatcher = Dispatcher::new(events);
        let poster = Self { url: self.url.clone(), path: self.path.clone(), received: VecDeque::new() };
        let (received, mut packets) = mpsc::unbounded_channel();
        let mut poller = self;
        // Not cancel safe: a poll that is dropped loses its packets.
        let polling = async move {
            while let Ok(packet) = poller.next().await {
                if received.send(packet).is_err() {
                    return;
                }
            }
        };
        let mut polling = std::pin::pin!(polling);
        let mut is_open = true;
        loop {
            let packet = tokio::select! {
                () = &mut polling, if is_open => {
                    is_open = false;
                    continue;
                }
                asked = to_send.recv() => match asked {
                    Some(asked) => dispatcher.register(asked),
                    None => return,
                },
                packet = packets.recv() => match packet {
                    Some(packet) if packet == "2" => "3".to_owned(),
                    Some(packet) if packet.starts_with("41") || packet == "1" => return,
                    Some(packet) => {
                        dispatcher.dispatch(&packet);
                        continue;
                    }
                    None => return,
                },
            };
            let posted = poster.post(packet);
            let mut posted = std::pin::pin!(posted);
            let posted = loop {
                tokio::select! {
                    posted = &mut posted => break posted,
                    () = &mut polling, if is_open => is_open = false,
                }
            };
            if posted.is_err() {
                return;
            }
        }
    }
}
