//! A client of the Channels-style websockets, whose frames are JSON.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::socketio::{ClientError, Dial, PATIENCE, Socket, open_websocket};

/// One websocket. Dropping it closes the TCP connection without a close frame.
pub(crate) struct ChannelsClient(Socket);

impl ChannelsClient {
    /// Opens the websocket at a path, which includes the token.
    pub(crate) async fn connect(url: &str, path: &str) -> Result<Self, ClientError> {
        let how = Dial::default();
        let opening = open_websocket(url, path, &how);
        timeout(PATIENCE, opening).await.unwrap_or(Err(ClientError::TimedOut(PATIENCE))).map(Self)
    }

    /// Sends one frame.
    pub(crate) async fn send(&mut self, frame: &Value) -> Result<(), ClientError> {
        Ok(self.0.send(Message::text(frame.to_string())).await?)
    }

    /// The next frame that is JSON. Cancel safe.
    pub(crate) async fn next(&mut self, deadline: Duration) -> Result<Value, ClientError> {
        let next = async {
            loop {
                match self.0.next().await.ok_or(ClientError::Closed)?? {
                    Message::Text(text) => {
                        if let Ok(frame) = serde_json::from_str(text.as_str()) {
                            return Ok(frame);
                        }
                    }
                    Message::Close(_) => return Err(ClientError::Closed),
                    _ => {}
                }
            }
        };
        timeout(deadline, next).await.unwrap_or(Err(ClientError::TimedOut(deadline)))
    }
}
