//! The queue of a socket's events, which are handled one after the other, in order.
//!
//! socketioxide runs each handler in a separate task, which loses the order. So one listener receives every event and puts it in the
//! connection's bounded queue, and a task handles the queue; an idle connection has no task.
//!
//! The stock client sends what was written while it was offline *before* its `connect` listener runs, where most pages authenticate.
//! So events of a new socket are held until its first `authenticate` has been answered.

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

/// Most events in the queue of a connection. Further events are rejected with `busy`.
const WAITING: usize = 4096;

/// Most bytes in the queue of a connection. A single event is always accepted, however large.
const WAITING_BYTES: usize = 4 << 20;

/// `retryAfterMs` when the queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long events are held for an `authenticate`, counted from the first of them.
const HOLD: Duration = Duration::from_secs(2);

/// Maximum events held per connection, and their bytes. Beyond either, held events are handled immediately, as unauthenticated.
const HELD: usize = 256;
const HELD_BYTES: usize = 2 << 20;

/// Most bytes that are held on all connections together, since none of them is authenticated.
const HELD_BYTES_TOTAL: usize = 64 << 20;

static HELD_TOTAL: AtomicUsize = AtomicUsize::new(0);

/// Poll interval while a client is not reading.
const STALLED: Duration = Duration::from_millis(20);

/// An event as it was received.
pub(super) struct Inbound {
    /// A JSON array: the event's name, then its arguments. Binary attachments are placeholders in it.
    pub(super) text: Bytes,
    /// The acknowledgement, if the client asked for one.
    pub(super) ack: Option<AckSender>,
}

impl Inbound {
    /// Creates an `authenticate` event from the token in the handshake.
    pub(super) fn from_handshake(token: &str) -> Self {
        Self { text: serde_json::json!(["authenticate", token]).to_string().into(), ack: None }
    }

    /// Whether this is an `authenticate`. Matches compact JSON only: an `authenticate` with whitespace is held like any other event,
    /// for at most [`HOLD`].
    fn is_authenticate(&self) -> bool {
        self.text.starts_with(br#"["authenticate""#) || self.text.starts_with(br#"["auth""#)
    }
}

/// Which events are handled.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// None: the CONNECT packet has not been sent yet.
    #[default]
    Connecting,
    /// Only `authenticate`.
    Holding,
    /// All.
    Open,
}

/// The events of a connection that have not been handled yet.
#[derive(Default)]
pub(super) struct Inbox(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Inbound>,
    bytes: usize,
    stage: Stage,
    /// Bytes of the waiting events that count as held, here and in [`HELD_TOTAL`].
    held_bytes: usize,
    has_task: bool,
    /// Whether `busy` was sent since the queue was last empty.
    is_overflowing: bool,
}

impl Inbox {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.release();
    }
}

impl Queue {
    /// Whether an event may be held until the client authenticates.
    fn may_hold(&self, inbound: &Inbound) -> bool {
        let (bytes, total) = (inbound.text.len(), HELD_TOTAL.load(Ordering::Relaxed));
        self.waiting.len() < HELD
            && self.held_bytes.saturating_add(bytes) <= HELD_BYTES
            && total.saturating_add(bytes) <= HELD_BYTES_TOTAL
    }

    /// Lets all events be handled from now on.
    fn release(&mut self) {
        self.stage = Stage::Open;
        HELD_TOTAL.fetch_sub(std::mem::take(&mut self.held_bytes), Ordering::Relaxed);
    }

    /// Queues an event. While events are held, an `authenticate` goes before them, after earlier ones.
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
            HELD_TOTAL.fetch_add(inbound.text.len(), Ordering::Relaxed);
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

/// Marker type required by [`MessageHandler`].
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

/// Queues an event, and starts the task that handles the queue if there is none.
pub(super) fn push(connection: &Shared, inbound: Inbound) {
    connection.update_transport();
    let mut queue = connection.inbox.queue();
    if !queue.has_room_for(&inbound) {
        let was_sent = std::mem::replace(&mut queue.is_overflowing, true);
        drop(queue);
        let problem = Problem {
            retry_after_ms: Some(RateLimited::from(RETRY_AFTER).retry_after_ms()),
            ..Problem::new(ErrorCode::Busy, "Too many events at once")
        };
        // Send the `error` event once per overflow, so that responses do not flood the client. Acknowledgements are always sent.
        if was_sent {
            connection.decline(inbound.ack, &problem);
        } else {
            connection.refuse(inbound.ack, &problem);
        }
        return;
    }
    let held = queue.held_bytes;
    queue.put(inbound);
    if held == 0 && queue.held_bytes > 0 && queue.stage == Stage::Holding {
        hold(connection);
    }
    ensure_task(connection, &mut queue);
}

/// Starts handling events once the CONNECT packet has been sent. A token in the handshake is handled first. Without one, other events
/// are held until the client authenticates.
pub(super) fn open(connection: &Shared, handshake: Option<Inbound>) {
    // A recovered page is authenticated already.
    let is_known = handshake.is_some() || connection.person().is_some();
    let mut queue = connection.inbox.queue();
    if let Some(first) = handshake {
        queue.bytes += first.text.len();
        queue.waiting.push_front(first);
    }
    if is_known {
        queue.release();
    } else {
        queue.stage = Stage::Holding;
        if !queue.waiting.is_empty() {
            hold(connection);
        }
    }
    ensure_task(connection, &mut queue);
}

/// Releases the held events after [`HOLD`], whether or not the client has authenticated.
fn hold(connection: &Shared) {
    let connection = connection.clone();
    tokio::spawn(async move {
        tokio::time::sleep(HOLD).await;
        release(&connection);
    });
}

/// Handles the held events.
fn release(connection: &Shared) {
    let mut queue = connection.inbox.queue();
    if queue.stage == Stage::Holding {
        queue.release();
        ensure_task(connection, &mut queue);
    }
}

fn ensure_task(connection: &Shared, queue: &mut Queue) {
    if queue.stage != Stage::Connecting && !queue.waiting.is_empty() && !std::mem::replace(&mut queue.has_task, true) {
        let connection = connection.clone();
        tokio::spawn(async move {
            if contained(handle_all(&connection)).await.is_none() {
                connection.give_up();
            }
        });
    }
}

async fn handle_all(connection: &Shared) {
    while let Some(inbound) = next(connection) {
        // Stop handling events while the client is not reading: acknowledgements can be large and would accumulate.
        while connection.is_stalled() {
            tokio::time::sleep(STALLED).await;
        }
        let was_authenticate = inbound.is_authenticate();
        handlers::handle(connection, inbound).await;
        if was_authenticate {
            release(connection);
        }
    }
}

fn next(connection: &SocketConnection) -> Option<Inbound> {
    let mut queue = connection.inbox.queue();
    let inbound = queue.take();
    if inbound.is_none() {
        queue.has_task = false;
        if queue.waiting.is_empty() {
            queue.is_overflowing = false;
            queue.waiting = VecDeque::new();
        }
    }
    inbound
}
