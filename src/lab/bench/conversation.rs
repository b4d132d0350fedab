//! Conversations over the Channels-style protocols, which call them rooms.

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::options::Protocol;
use super::wire::{RunTag, Stamp, find_stamp};
use crate::lab::testkit::http;
use crate::lab::testkit::socketio::{ClientError, Dial, Socket, next_packet, open_websocket};

/// One person's access to a conversation.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    /// Dialect.
    protocol: Protocol,
    /// Name of the room in the dialect.
    name: String,
    /// Token of the person.
    token: String,
}

impl Conversation {
    /// The conversation of the customer with this token, which is opened if there is none yet.
    pub(super) async fn of_customer(url: &str, protocol: Protocol, token: String) -> anyhow::Result<Self> {
        let room = if protocol == Protocol::Drivecash {
            http::get(url, "/api/chat/rooms/my_room/", &token).await
        } else {
            http::post(url, "/api/public/chat-rooms/", Some(&token), &serde_json::json!({})).await
        };
        let room = room.context("asking for a room")?;
        // One dialect responds with the room, the other with an object that contains it.
        let name = match room.body.get("room").unwrap_or(&room.body).get("id").unwrap_or_default() {
            Value::String(uuid) => uuid.clone(),
            Value::Number(number) => number.to_string(),
            _ => bail!("no room, but {}: {}", room.status, room.body),
        };
        Ok(Self { protocol, name, token })
    }

    /// The same conversation for another person.
    pub(super) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Opens its websocket and waits until access is granted.
    pub(super) async fn enter(&self, url: &str, how: &Dial) -> Result<Socket, ClientError> {
        let mut socket = open_websocket(url, &format!("/ws/chat/{}/?token={}", self.name, self.token), how).await?;
        // The storefront accepts every handshake and closes refused sockets; drivecash refuses the handshake.
        if self.protocol == Protocol::Storefront {
            let first = next_packet(&mut socket).await?;
            if !first.contains(r#""room_info""#) {
                return Err(ClientError::Unexpected(first));
            }
        }
        Ok(socket)
    }

    /// The messages of a run in its history, which a page reads after it connects.
    pub(super) async fn read_history(&self, url: &str, run: RunTag) -> anyhow::Result<Vec<Stamp>> {
        let path = if self.protocol == Protocol::Drivecash {
            format!("/api/chat/messages/?room_id={}", self.name)
        } else {
            format!("/api/public/chat-rooms/{}/get_messages/", self.name)
        };
        let history = http::get(url, &path, &self.token).await.context("reading a history")?;
        ensure!(history.status == 200, "no history, but {}: {}", history.status, history.body);
        let messages = history.body.as_array().with_context(|| format!("not a history: {}", history.body))?;
        Ok(messages.iter().filter_map(|message| find_stamp(message.to_string().as_bytes(), run)).collect())
    }
}
