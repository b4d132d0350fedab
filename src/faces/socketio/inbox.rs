//! A socket's events, handled one after the other in the order in which they came.
//!
//! The library runs each handler as a task of its own, which loses the order. So one listener takes every event, puts it
//! into the connection's own bounded line, and a task empties that line; an idle connection has no task.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromMessageParts, MessageHandler, Value};
use socketioxide::socket::Socket;

use super::connection::SocketConnection;
use super::wire::{ErrorCode, Problem};
use super::{Shared, handlers};
use crate::supervise::contained;

/// Events that may wait per connection; what comes beyond is refused with `busy`.
const WAITING: usize = 4096;

/// Bytes of events that may wait per connection. One event may always wait, however large.
const WAITING_BYTES: usize = 4 << 20;

/// How often a client that takes nothing is looked at again.
const STALLED: Duration = Duration::from_millis(20);

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

#[derive(Default)]
struct Line {
    waiting: VecDeque<Inbound>,
    bytes: usize,
    is_open: bool,
    is_being_emptied: bool,
    /// The client has been told that there is no room, and there has been none since.
    is_overflowing: bool,
}

impl Line {
    fn has_room_for(&self, inbound: &Inbound) -> bool {
        self.waiting.is_empty()
            || (self.waiting.len() < WAITING && self.bytes.saturating_add(inbound.text.len()) <= WAITING_BYTES)
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
    if !line.has_room_for(&inbound) {
        let is_told = std::mem::replace(&mut line.is_overflowing, true);
        drop(line);
        let problem = Problem::new(ErrorCode::Busy, "Too many events at once");
        // Told once a flood, else the answers would be a flood themselves; but whoever asks for an answer gets one.
        if is_told {
            connection.acknowledge(inbound.ack, &problem.as_answer());
        } else {
            connection.refuse(inbound.ack, &problem);
        }
        return;
    }
    line.bytes += inbound.text.len();
    line.waiting.push_back(inbound);
    see_to(connection, &mut line);
}

/// From now on events are handled, this one first. What came before has waited: the library may pass events on before the
/// socket can be answered.
pub(super) fn open(connection: &Shared, first: Option<Inbound>) {
    let mut line = connection.inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
    line.is_open = true;
    if let Some(first) = first {
        line.bytes += first.text.len();
        line.waiting.push_front(first);
    }
    see_to(connection, &mut line);
}

fn see_to(connection: &Shared, line: &mut Line) {
    if line.is_open && !line.waiting.is_empty() && !std::mem::replace(&mut line.is_being_emptied, true) {
        let connection = connection.clone();
        tokio::spawn(async move {
            if contained(empty(&connection)).await.is_none() {
                connection.give_up();
            }
        });
    }
}

async fn empty(connection: &Shared) {
    while let Some(inbound) = next(connection) {
        // Whoever takes no answers gets no more of them: they may be long.
        while connection.is_stalled() {
            tokio::time::sleep(STALLED).await;
        }
        handlers::handle(connection, inbound).await;
    }
}

fn next(connection: &SocketConnection) -> Option<Inbound> {
    let mut line = connection.inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
    let inbound = line.waiting.pop_front();
    if let Some(inbound) = &inbound {
        line.bytes -= inbound.text.len();
    } else {
        line.is_being_emptied = false;
        line.is_overflowing = false;
        line.waiting = VecDeque::new();
    }
    inbound
}
