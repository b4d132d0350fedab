//! A raw websocket, for frames that a correct client would not send.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::{Account, SOON};

/// A raw Socket.IO connection, past both handshakes.
pub(crate) struct Wire(WebSocketStream<TcpStream>);

impl Wire {
    /// Connects up to the server's `40`.
    pub(crate) async fn connect(url: &str) -> Self {
        Self::open(url, None, None).await
    }

    /// Connects with this address in `X-Forwarded-For`.
    pub(crate) async fn connect_from(url: &str, address: &str) -> Self {
        Self::open(url, None, Some(address)).await
    }

    /// Connects with a small receive buffer, so that unread data soon accumulates at the server.
    pub(crate) async fn connect_with_buffer(url: &str, buffer: Option<u32>) -> Self {
        Self::open(url, buffer, None).await
    }

    async fn open(url: &str, buffer: Option<u32>, address: Option<&str>) -> Self {
        let host = url.strip_prefix("http://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(buffer) = buffer {
            socket.set_recv_buffer_size(buffer).unwrap();
        }
        let stream = socket.connect(host.parse().unwrap()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!("ws://{host}/socket.io/?EIO=4&transport=websocket");
        let mut request = request.into_client_request().unwrap();
        if let Some(address) = address {
            request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
        }
        let config = WebSocketConfig::default();
        let (socket, _) =
            timeout(SOON, client_async_with_config(request, stream, Some(config))).await.unwrap().unwrap();
        let mut wire = Self(socket);
        assert!(wire.next(SOON).await.unwrap().starts_with("0{"));
        assert!(wire.send("40").await);
        assert!(wire.next(SOON).await.unwrap().starts_with("40"));
        wire
    }

    /// Authenticates, and reads up to the answer.
    pub(crate) async fn authenticate(&mut self, account: &Account) {
        assert!(self.send(format!("42{}", json!(["authenticate", account.token]))).await);
        while !self.next(SOON).await.expect("no answer").starts_with(r#"42["authenticated""#) {}
    }

    /// Closes the TCP connection without a close frame, and waits until the server has closed its end.
    pub(crate) async fn vanish(mut self) {
        drop(self.0.get_mut().shutdown().await);
        while self.next(SOON).await.is_some() {}
    }

    /// Sends a text frame. Returns false if the connection is closed.
    pub(crate) async fn send(&mut self, frame: impl Into<String>) -> bool {
        self.write(Message::text(frame.into())).await
    }

    /// Sends a binary frame. Returns false if the connection is closed.
    pub(crate) async fn send_binary(&mut self, frame: Vec<u8>) -> bool {
        self.write(Message::binary(frame)).await
    }

    async fn write(&mut self, message: Message) -> bool {
        timeout(SOON, self.0.send(message)).await.is_ok_and(|sent| sent.is_ok())
    }

    /// The next text frame; `None` if the connection is closed, or at the deadline. Pings are answered.
    pub(crate) async fn next(&mut self, deadline: Duration) -> Option<String> {
        let next = async {
            loop {
                match self.0.next().await?.ok()? {
                    Message::Text(text) if text.as_str() == "2" => self.0.send(Message::text("3")).await.ok()?,
                    Message::Text(text) => return Some(text.as_str().to_owned()),
                    Message::Close(_) => return None,
                    _ => {}
                }
            }
        };
        timeout(deadline, next).await.ok().flatten()
    }
}
