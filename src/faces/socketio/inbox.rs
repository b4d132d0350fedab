//! A socket's events, handled one after the other in the order in which they came.
//!
//! The library runs each handler as a task of its own, which loses the order. So one listener takes every event, puts it
//! into the connection's own bounded line, and a task empties that line; an idle connection has no task.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromMessageParts, MessageHandler, Value};
use socketioxide::socket::Socket;

use super::connection::SocketConnection;
use super::wire::{ErrorCode, Problem};
use super::{Shared, handlers};

/// Events that may wait per connection; what comes beyond is refused with `busy`.
const WAITING: usize = 512;

/// An event as it came.
pub(super) struct Inbound {
    /// A JSON array: the event's name, then its arguments. Binary attachments are placeholders in it.
    pub(super) text: Bytes,
    /// How the client is answered, if it asked for an answer.
    pub(super) ack: Option<AckSender>,
}

impl Inbound {
    /// What a client means that shows its token in the handshake.
    pub(super) fn from_handshake(token: &str) -> Self {
        Self { text: serde_json::json!(["authenticate", token]).to_string().into(), ack: None }
    }
}

/// What waits to be handled.
#[derive(Default)]
pub(super) struct Inbox(Mutex<Line>);

struct Line {
    waiting: VecDeque<Inbound>,
    is_being_emptied: bool,
}

/// Whoever [opens](open) the connection is the first to empty its line: until then nobody could be answered.
impl Default for Line {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), is_being_emptied: true }
    }
}

/// The one listener of a socket.
pub(super) struct EveryEvent(pub(super) Shared);

/// Tells the library's handler kinds apart.
pub(super) struct Raw;

impl MessageHandler<LocalAdapter, Raw> for EveryEvent {
    fn call(&self, socket: Arc<Socket>, mut value: Value, ack_id: Option<i64>) {
        let ack = match ack_id {
            Some(_) => AckSender::from_message_parts(&socket, &mut value, &ack_id).ok(),
            None => None,
        };
        let text = match value {
            Value::Str(text, _) => Bytes::from(text),
            Value::Bytes(bytes) => bytes,
        };
        push(&self.0, Inbound { text, ack });
    }
}

/// Puts an event in line, and sees to it that the line is emptied.
pub(super) fn push(connection: &Shared, inbound: Inbound) {
    connection.heard_from();
    let mut line = connection.inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
    if line.waiting.len() >= WAITING {
        drop(line);
        connection.refuse(inbound.ack, &Problem::new(ErrorCode::Busy, "Too many events at once"));
        return;
    }
    line.waiting.push_back(inbound);
    if !std::mem::replace(&mut line.is_being_emptied, true) {
        drop(line);
        start_emptying(connection);
    }
}

/// Handles what has come so far, and from now on whatever comes.
pub(super) fn open(connection: &Shared) {
    let mut line = connection.inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
    line.is_being_emptied = !line.waiting.is_empty();
    if line.is_being_emptied {
        drop(line);
        start_emptying(connection);
    }
}

fn start_emptying(connection: &Shared) {
    let connection = connection.clone();
    tokio::spawn(async move { empty(&connection).await });
}

async fn empty(connection: &Shared) {
    while let Some(inbound) = next(connection) {
        handlers::handle(connection, inbound).await;
    }
}

fn next(connection: &SocketConnection) -> Option<Inbound> {
    let mut line = connection.inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
    let inbound = line.waiting.pop_front();
    if inbound.is_none() {
        line.is_being_emptied = false;
        line.waiting = VecDeque::new();
    }
    inbound
}
