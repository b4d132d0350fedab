//! Clients of the two Channels-style dialects: they read the history over REST, send on websockets, and never retry a message.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::actor::{Actor, PATIENCE, Phase, QUIET};
use super::responses::{checked, number, refused, unexpected, word};
use super::transcript::Acked;
use crate::lab::testkit::channels::ChannelsClient;
use crate::lab::testkit::http;
use crate::lab::testkit::socketio::ClientError;

/// How often an idle client checks the phase.
const GLANCE: Duration = Duration::from_millis(50);

/// The shapes of a dialect.
struct Dialect {
    /// Names of this client's rooms.
    rooms: Vec<String>,
    /// Path of a room's history, an array of messages.
    history: fn(room: &str, is_agent: bool) -> String,
    /// Whether reading the history marks it as read.
    is_read: bool,
    /// Field of a message's text.
    text: &'static str,
    /// The message in a frame, if it has one.
    message_in: fn(frame: &Value) -> Option<FrameMessage<'_>>,
    /// The frame that sends a message.
    say: fn(room: &str, text: &str, is_agent: bool) -> Value,
    /// Field of a message's number in frames.
    number: &'static str,
}

/// A message in a frame.
struct FrameMessage<'a> {
    /// The room, if the frame names it.
    room: Option<&'a str>,
    message: &'a Value,
}

impl Actor {
    /// The storefront: a customer in their room, or an agent on the agents' socket.
    pub(super) async fn run_storefront(&mut self) -> Result<(), ClientError> {
        let is_agent = self.me.role.is_agent();
        let rooms = if is_agent {
            let page = self.get("/api/admin/chat-rooms/").await?;
            let rooms = page["results"].as_array().filter(|rooms| !rooms.is_empty());
            let rooms = rooms.ok_or_else(|| unexpected("chat-rooms", &page))?;
            rooms.iter().map(|room| word(room, "id")).collect()
        } else {
            // The response contains the room's messages.
            let asked = self.transcript.ask(false);
            let room = http::post(&self.url, "/api/public/chat-rooms/", Some(&self.me.token), &json!({})).await;
            self.transcript.answered(asked, None);
            let room = checked(room?)?;
            let id = word(&room, "id");
            self.transcript.answered(asked, Some(vec![(id.clone(), newest(&room["messages"]))]));
            vec![id]
        };
        let path = match rooms.first() {
            Some(room) if !is_agent => format!("/ws/chat/{room}/?token={}", self.me.token),
            _ => format!("/ws/admin/chat/?token={}", self.me.token),
        };
        let dialect = Dialect {
            rooms,
            history: |room, is_agent| {
                let kind = if is_agent { "admin" } else { "public" };
                format!("/api/{kind}/chat-rooms/{room}/get_messages/")
            },
            is_read: !is_agent,
            text: "content",
            number: "id",
            message_in: |frame| {
                let message = frame.get("message")?;
                let tells = ["chat_message", "new_customer_message", "admin_message_sent"];
                let has_message = tells.iter().any(|kind| frame["type"] == **kind);
                has_message.then(|| FrameMessage { room: message["room"].as_str(), message })
            },
            say: |room, text, is_agent| {
                if is_agent {
                    json!({"type": "admin_message", "room_id": room, "content": text})
                } else {
                    json!({"type": "chat_message", "content": text})
                }
            },
        };
        self.run_channels(&path, &dialect).await
    }

    /// The portal: one room.
    pub(super) async fn run_drivecash(&mut self) -> Result<(), ClientError> {
        let room = match &self.room {
            Some(room) => room.clone(),
            None if self.me.role.is_agent() => {
                let rooms = self.get("/api/chat/rooms/").await?;
                let rooms = rooms.as_array().filter(|rooms| !rooms.is_empty());
                let rooms = rooms.ok_or_else(|| unexpected("rooms", &Value::Null))?;
                number(&rooms[self.pick(rooms.len())], "id").to_string()
            }
            None => number(&self.get("/api/chat/rooms/my_room/").await?["room"], "id").to_string(),
        };
        self.room = Some(room.clone());
        let path = format!("/ws/chat/{room}/?token={}", self.me.token);
        let dialect = Dialect {
            rooms: vec![room],
            history: |room, _| format!("/api/chat/messages/?room_id={room}"),
            is_read: false,
            text: "message",
            number: "message_id",
            message_in: |frame| {
                (frame["type"] == "chat_message").then_some(FrameMessage { room: None, message: frame })
            },
            say: |_, text, _| json!({"type": "chat_message", "message": text}),
        };
        self.run_channels(&path, &dialect).await
    }

    async fn run_channels(&mut self, path: &str, dialect: &Dialect) -> Result<(), ClientError> {
        // Subscribes first and reads second, so that no message falls in between.
        let mut socket = ChannelsClient::connect(&self.url, path).await?;
        self.transcript.connected();
        self.read_history(dialect).await?;
        self.transcript.settle();
        let breaks = self.link_breaks();
        while self.phase() == Phase::Talk {
            if self.is_broken(breaks) {
                return Err(ClientError::Closed);
            }
            let (text, _) = self.new_message();
            let room = &dialect.rooms[self.pick(dialect.rooms.len())];
            socket.send(&(dialect.say)(room, &text, self.me.role.is_agent())).await?;
            let deadline = Instant::now() + PATIENCE;
            while self.listen(&mut socket, dialect, deadline).await?.as_deref() != Some(text.as_str()) {
                if Instant::now() >= deadline {
                    return Err(unexpected("a message", &json!("nothing")));
                }
            }
            let pause = Instant::now() + self.pause();
            while Instant::now() < pause {
                self.listen(&mut socket, dialect, pause).await?;
            }
        }
        self.finish();
        while self.phase() != Phase::Leave {
            self.listen(&mut socket, dialect, Instant::now() + GLANCE).await?;
        }
        let quiet = Instant::now() + QUIET;
        while Instant::now() < quiet {
            self.listen(&mut socket, dialect, quiet).await?;
        }
        self.transcript.expect_nothing_new();
        self.read_history(dialect).await
    }

    /// Records the next frame. Returns the text if it is a message of its own.
    async fn listen(
        &mut self,
        socket: &mut ChannelsClient,
        dialect: &Dialect,
        until: Instant,
    ) -> Result<Option<String>, ClientError> {
        let frame = match socket.next(until.saturating_duration_since(Instant::now())).await {
            Err(ClientError::TimedOut(_)) => return Ok(None),
            frame => frame?,
        };
        if frame["type"] == "error" || frame["error"].is_string() {
            return Err(refused("a message", &frame));
        }
        let Some(FrameMessage { room, message }) = (dialect.message_in)(&frame) else { return Ok(None) };
        let room = room.or(dialect.rooms.first().map(String::as_str)).unwrap_or_default();
        let (called, text) = (number(message, dialect.number), word(message, dialect.text));
        self.transcript.receive(room, called);
        self.transcript.read(room, called, Some(&text));
        if !self.transcript.sent.contains(&text) {
            return Ok(None);
        }
        self.acknowledged(Acked { conversation: room.to_owned(), number: called, text: text.clone() });
        Ok(Some(text))
    }

    async fn read_history(&mut self, dialect: &Dialect) -> Result<(), ClientError> {
        for room in &dialect.rooms {
            let asked = self.transcript.ask(dialect.is_read);
            let history = self.get(&(dialect.history)(room, self.me.role.is_agent())).await;
            self.transcript.answered(asked, None);
            let history = history?;
            for message in history.as_array().ok_or_else(|| unexpected("the history", &history))? {
                let called = number(message, "id");
                self.transcript.fetch(room, called);
                self.transcript.read(room, called, message[dialect.text].as_str());
            }
            self.transcript.answered(asked, Some(vec![(room.clone(), newest(&history))]));
        }
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Value, ClientError> {
        checked(http::get(&self.url, path, &self.me.token).await?)
    }
}

/// The number of the last message; 0 if there is none.
fn newest(messages: &Value) -> u64 {
    messages.as_array().and_then(|messages| messages.last()).map_or(0, |last| number(last, "id"))
}
