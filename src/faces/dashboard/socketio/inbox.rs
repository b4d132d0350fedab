//! A socket's events, handled one after the other in the order in which they came.
//!
//! The library runs each handler as a task of its own, which loses the order. So one listener takes every event, puts it
//! into the connection's own bounded line, and a task empties that line; an idle connection has no task.
//!
//! A stock client flushes what was written while it was offline *before* its `connect` listener runs, which is where most
//! clients authenticate. So the events of a fresh socket are held until its first `authenticate` has been answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromMessageParts, MessageHandler, Value};
use socketioxide::socket::Socket;

use super::connection::SocketConnection;
use super::{Shared, handlers};
use crate::faces::dashboard::wire::{ErrorCode, Problem};
use crate::limits::RateLimited;
use crate::supervise::contained;

/// Events that may wait per connection; what comes beyond is refused with `busy`.
const WAITING: usize = 4096;

/// Bytes of events that may wait per connection. One event may always wait, however large.
const WAITING_BYTES: usize = 4 << 20;

/// What a client is told to wait when there is no room.
const COME_BACK: Duration = Duration::from_secs(1);

/// How long events are held for an `authenticate`, counted from the moment at which the first of them was held.
const HOLD: Duration = Duration::from_secs(2);

/// Events that are held per connection, and their bytes. What comes beyond is handled as a stranger's, at once.
const HELD: usize = 256;
const HELD_BYTES: usize = 2 << 20;

/// Bytes that are held on all connections together: none of them has shown yet who it is.
const HELD_BYTES_IN_ALL: usize = 64 << 20;

static HELD_IN_ALL: AtomicUsize = AtomicUsize::new(0);

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

    /// Whether the client says who it is. Clients write JSON without blanks; one that does not is merely held for a while.
    fn is_authenticate(&self) -> bool {
        self.text.starts_with(br#"["authenticate""#) || self.text.starts_with(br#"["auth""#)
    }
}

/// Whether events are handled.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client has not been told yet that it is connected.
    #[default]
    Connecting,
    /// Only `authenticate` is.
    Holding,
    Open,
}

/// What waits to be handled.
#[derive(Default)]
pub(super) struct Inbox(Mutex<Line>);

#[derive(Default)]
struct Line {
    waiting: VecDeque<Inbound>,
    bytes: usize,
    stage: Stage,
    /// How many bytes of those that wait count as held, here and in [`HELD_IN_ALL`].
    held_bytes: usize,
    is_being_emptied: bool,
    /// The client has been told that there is no room, and there has been none since.
    is_overflowing: bool,
}

impl Inbox {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.release();
    }
}

impl Line {
    /// Whether an event may be held until the client says who it is.
    fn may_hold(&self, inbound: &Inbound) -> bool {
        let (bytes, in_all) = (inbound.text.len(), HELD_IN_ALL.load(Ordering::Relaxed));
        self.waiting.len() < HELD
            && self.held_bytes.saturating_add(bytes) <= HELD_BYTES
            && in_all.saturating_add(bytes) <= HELD_BYTES_IN_ALL
    }

    /// Everything may be handled from now on.
    fn release(&mut self) {
        self.stage = Stage::Open;
        HELD_IN_ALL.fetch_sub(std::mem::take(&mut self.held_bytes), Ordering::Relaxed);
    }

    /// Puts an event in line. While others are held, an `authenticate` goes before them, behind those that came before it.
    fn put(&mut self, inbound: Inbound) {
        self.bytes += inbound.text.len();
        if self.stage == Stage::Open {
            return self.waiting.push_back(inbound);
        }
        if inbound.is_authenticate() {
            let place = self.waiting.iter().take_while(|waiting| waiting.is_authenticate()).count();
            return self.waiting.insert(place, inbound);
        }
        if self.may_hold(&inbound) {
            self.held_bytes += inbound.text.len();
            HELD_IN_ALL.fetch_add(inbound.text.len(), Ordering::Relaxed);
        } else if self.stage == Stage::Holding {
            self.release();
        }
        self.waiting.push_back(inbound);
    }

    /// The next event that may be handled.
    fn take(&mut self) -> Option<Inbound> {
        if self.stage == Stage::Holding && !self.waiting.front().is_some_and(Inbound::is_authenticate) {
            return None;
        }
        let inbound = self.waiting.pop_front()?;
        self.bytes -= inbound.text.len();
        Some(inbound)
    }

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
    let mut line = connection.inbox.line();
    if !line.has_room_for(&inbound) {
        let is_told = std::mem::replace(&mut line.is_overflowing, true);
        drop(line);
        let problem = Problem {
            retry_after_ms: Some(RateLimited::from(COME_BACK).retry_after_ms()),
            ..Problem::new(ErrorCode::Busy, "Too many events at once")
        };
        // Told once a flood, else the answers would be a flood themselves; but whoever asks for an answer gets one.
        if is_told {
            connection.decline(inbound.ack, &problem);
        } else {
            connection.refuse(inbound.ack, &problem);
        }
        return;
    }
    let held = line.held_bytes;
    line.put(inbound);
    if held == 0 && line.held_bytes > 0 && line.stage == Stage::Holding {
        hold(connection);
    }
    see_to(connection, &mut line);
}

/// From now on events are handled: the token that the client showed in its handshake first, if it did, else only once it has
/// shown one. What came before has waited: the library may pass events on before the socket can be answered.
pub(super) fn open(connection: &Shared, handshake: Option<Inbound>) {
    // A page that came back goes on as whom it was.
    let is_known = handshake.is_some() || connection.person().is_some();
    let mut line = connection.inbox.line();
    if let Some(first) = handshake {
        line.bytes += first.text.len();
        line.waiting.push_front(first);
    }
    if is_known {
        line.release();
    } else {
        line.stage = Stage::Holding;
        if !line.waiting.is_empty() {
            hold(connection);
        }
    }
    see_to(connection, &mut line);
}

/// Ends the holding of events after a while, whatever the client does.
fn hold(connection: &Shared) {
    let connection = connection.clone();
    tokio::spawn(async move {
        tokio::time::sleep(HOLD).await;
        release(&connection);
    });
}

/// It is decided who the client is, or that it will not say so: what was held is handled.
fn release(connection: &Shared) {
    let mut line = connection.inbox.line();
    if line.stage == Stage::Holding {
        line.release();
        see_to(connection, &mut line);
    }
}

fn see_to(connection: &Shared, line: &mut Line) {
    if line.stage != Stage::Connecting
        && !line.waiting.is_empty()
        && !std::mem::replace(&mut line.is_being_emptied, true)
    {
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
        let is_decided = inbound.is_authenticate();
        handlers::handle(connection, inbound).await;
        if is_decided {
            release(connection);
        }
    }
}

fn next(connection: &SocketConnection) -> Option<Inbound> {
    let mut line = connection.inbox.line();
    let inbound = line.take();
    if inbound.is_none() {
        line.is_being_emptied = false;
        if line.waiting.is_empty() {
            line.is_overflowing = false;
            line.waiting = VecDeque::new();
        }
    }
    inbound
}
