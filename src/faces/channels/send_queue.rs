//! What is queued for one websocket, bounded in frames and in bytes. A client that does not keep up is disconnected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{ConnectionId, DeskEvent, UserId};
use crate::net::ConnectionHandle;
use crate::presence::{Outgoing, SendOutcome};

/// Most frames in a queue.
const FRAMES: usize = 512;

/// Most bytes in a queue.
const BYTES: usize = 4 << 20;

/// A frame as text: JSON. `None` if it cannot be encoded, which is logged; the frame is then skipped.
pub(in crate::faces) fn frame_text(frame: &impl Serialize) -> Option<String> {
    serde_json::to_string(frame).inspect_err(|error| tracing::error!(%error, "Could not encode a frame")).ok()
}

/// Something to send.
pub(in crate::faces) enum Item<L> {
    /// A frame.
    Frame(Arc<String>),
    /// A frame that is held back until the token is cancelled; see [`response_first`](super::response_first).
    AfterResponse(Arc<String>, CancellationToken),
    /// Frames that are built from the store when they are sent.
    Deferred(L),
    /// A ping. If `must_answer`, the connection is closed unless the client answers soon.
    Ping { must_answer: bool },
    /// Closes the connection, with a code and a reason.
    Close(u16, &'static str),
}

impl<L> Item<L> {
    fn bytes(&self) -> usize {
        match self {
            Self::Frame(text) | Self::AfterResponse(text, _) => text.len(),
            Self::Deferred(_) | Self::Ping { .. } | Self::Close(..) => 0,
        }
    }
}

/// Which of the entries that were pushed have arrived.
struct Entries {
    /// When the last one was pushed.
    pushed_at: Option<Instant>,
    /// Everything that was pushed before this has arrived.
    arrived: Instant,
}

/// The sending end of the queue.
pub(in crate::faces) struct SendQueue<L> {
    connection: ConnectionId,
    person: UserId,
    items: mpsc::Sender<Item<L>>,
    waiting: AtomicUsize,
    connection_handle: Option<ConnectionHandle>,
    is_over: AtomicBool,
    entries: Mutex<Entries>,
}

impl<L> SendQueue<L> {
    pub(in crate::faces) fn new(
        connection: ConnectionId,
        person: UserId,
        connection_handle: Option<ConnectionHandle>,
    ) -> (Self, mpsc::Receiver<Item<L>>) {
        let (items, waiting) = mpsc::channel(FRAMES);
        let queue = Self {
            connection,
            person,
            items,
            waiting: AtomicUsize::new(0),
            connection_handle,
            is_over: AtomicBool::new(false),
            entries: Mutex::new(Entries { pushed_at: None, arrived: Instant::now() }),
        };
        (queue, waiting)
    }

    /// Queues an item. Never waits: if the queue is full, the client is disconnected, unless this is part of a replay.
    pub(in crate::faces) fn push(&self, item: Item<L>, is_replay: bool) -> SendOutcome {
        if self.is_over() {
            return SendOutcome::Closed;
        }
        let bytes = item.bytes();
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let is_admitted = bytes == 0
            || self
                .connection_handle
                .as_ref()
                .is_none_or(|connection_handle| connection_handle.admit(Some(self.person), bytes));
        if waiting > BYTES || !is_admitted {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return self.full(is_replay);
        }
        match self.items.try_send(item) {
            Ok(()) => SendOutcome::Sent,
            Err(error) => {
                self.waiting.fetch_sub(bytes, Ordering::Relaxed);
                match error {
                    TrySendError::Full(_) => self.full(is_replay),
                    TrySendError::Closed(_) => SendOutcome::Closed,
                }
            }
        }
    }

    pub(in crate::faces) fn frame(&self, text: String) {
        self.push(Item::Frame(Arc::new(text)), false);
    }

    /// Closes the connection once everything queued has been sent. Nothing more can be queued.
    pub(in crate::faces) fn close(&self, code: u16, reason: &'static str) {
        let outcome = self.push(Item::Close(code, reason), false);
        self.is_over.store(true, Ordering::Relaxed);
        if outcome != SendOutcome::Sent {
            tracing::debug!(connection.id = %self.connection, "A connection was closed already");
        }
    }

    /// Must be called for each item that was received from the queue.
    pub(in crate::faces) fn taken(&self, item: &Item<L>) {
        self.waiting.fetch_sub(item.bytes(), Ordering::Relaxed);
    }

    /// Queues an event with `push`. An entry is unconfirmed until the client has received it.
    pub(in crate::faces) fn deliver(&self, outgoing: &Outgoing<'_>, push: impl FnOnce() -> SendOutcome) -> SendOutcome {
        // Locked while pushing: the writer must find the entry noted, or it would never ask for a confirmation.
        let mut entries = self.entries();
        let outcome = push();
        if let (SendOutcome::Sent, DeskEvent::Entry(_)) = (outcome, outgoing.event) {
            entries.pushed_at = Some(Instant::now());
        }
        outcome
    }

    /// Whether an entry was sent that the client has not confirmed.
    pub(in crate::faces) fn has_unconfirmed(&self) -> bool {
        let entries = self.entries();
        entries.pushed_at.is_some_and(|pushed_at| pushed_at >= entries.arrived)
    }

    /// Notes that everything that was pushed before this has arrived.
    pub(in crate::faces) fn arrived_before(&self, pushed: Instant) {
        let mut entries = self.entries();
        entries.arrived = entries.arrived.max(pushed);
    }

    /// Everything that was sent before this has arrived.
    pub(in crate::faces) fn arrived(&self) -> Instant {
        self.entries().arrived
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock()
    }

    /// Whether the connection is closing: nothing more is sent or received.
    pub(in crate::faces) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn full(&self, is_replay: bool) -> SendOutcome {
        if is_replay {
            return SendOutcome::Full;
        }
        if !self.is_over.swap(true, Ordering::Relaxed) {
            tracing::warn!(connection.id = %self.connection, "Closed a connection that reads too slowly");
            if let Some(connection_handle) = &self.connection_handle {
                connection_handle.abort();
            }
        }
        SendOutcome::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> (SendQueue<()>, mpsc::Receiver<Item<()>>) {
        SendQueue::new(ConnectionId::next(), UserId::from_bytes([1; 12]), None)
    }

    fn frame(bytes: usize) -> Item<()> {
        Item::Frame(Arc::new("x".repeat(bytes)))
    }

    #[test]
    fn a_client_that_does_not_read_is_disconnected_by_frames_and_by_bytes() {
        let (few_large, _waiting) = queue();
        assert!((0..4).all(|_| few_large.push(frame(1 << 20), false) == SendOutcome::Sent));
        assert_eq!(few_large.push(frame(1), true), SendOutcome::Full, "a replay is only asked to wait");
        assert_eq!(few_large.push(frame(1), false), SendOutcome::Closed);
        assert!(few_large.is_over());
        let (many_small, _waiting) = queue();
        assert!((0..FRAMES).all(|_| many_small.push(frame(1), false) == SendOutcome::Sent));
        assert_eq!(many_small.push(frame(1), false), SendOutcome::Closed);
    }

    #[test]
    fn a_client_that_reads_frees_the_queue() {
        let (queue, mut waiting) = queue();
        for _ in 0..10_000 {
            assert_eq!(queue.push(frame(1 << 20), false), SendOutcome::Sent);
            queue.taken(&waiting.try_recv().unwrap());
        }
    }
}
