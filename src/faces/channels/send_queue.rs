//! What waits to be sent on one websocket: bounded in frames and in bytes. Who does not keep up is cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{ConnectionId, DeskEvent, UserId};
use crate::net::HangUp;
use crate::presence::{Delivery, Outcome};

/// Frames that may wait for a client.
const FRAMES: usize = 512;

/// Bytes that may wait for a client.
const BYTES: usize = 4 << 20;

/// One thing to send.
pub(in crate::faces) enum Item<L> {
    /// A frame.
    Frame(Arc<String>),
    /// A frame that waits until this request was answered.
    AfterResponse(Arc<String>, CancellationToken),
    /// Frames that have to be made from what the store holds when their turn comes.
    Deferred(L),
    /// A question whether the client is there, which it has to answer soon if it `must`.
    Ask { must: bool },
    /// The end, with a close code.
    Close(u16, &'static str),
}

impl<L> Item<L> {
    fn bytes(&self) -> usize {
        match self {
            Self::Frame(text) | Self::AfterResponse(text, _) => text.len(),
            Self::Deferred(_) | Self::Ask { .. } | Self::Close(..) => 0,
        }
    }
}

/// What is known of the entries that were pushed.
struct Entries {
    /// When the last one was.
    pushed_at: Option<Instant>,
    /// Everything that was pushed before has arrived.
    arrived: Instant,
}

/// The sending end.
pub(in crate::faces) struct SendQueue<L> {
    connection: ConnectionId,
    person: UserId,
    items: mpsc::Sender<Item<L>>,
    waiting: AtomicUsize,
    hang_up: Option<HangUp>,
    is_over: AtomicBool,
    entries: Mutex<Entries>,
}

impl<L> SendQueue<L> {
    pub(in crate::faces) fn new(
        connection: ConnectionId,
        person: UserId,
        hang_up: Option<HangUp>,
    ) -> (Self, mpsc::Receiver<Item<L>>) {
        let (items, waiting) = mpsc::channel(FRAMES);
        let queue = Self {
            connection,
            person,
            items,
            waiting: AtomicUsize::new(0),
            hang_up,
            is_over: AtomicBool::new(false),
            entries: Mutex::new(Entries { pushed_at: None, arrived: Instant::now() }),
        };
        (queue, waiting)
    }

    /// Puts something in line. Never waits: a client that does not keep up is cut off, unless this is part of a replay.
    pub(in crate::faces) fn push(&self, item: Item<L>, is_replay: bool) -> Outcome {
        if self.is_over() {
            return Outcome::Closed;
        }
        let bytes = item.bytes();
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let is_admitted =
            bytes == 0 || self.hang_up.as_ref().is_none_or(|hang_up| hang_up.admit(Some(self.person), bytes));
        if waiting > BYTES || !is_admitted {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return self.full(is_replay);
        }
        match self.items.try_send(item) {
            Ok(()) => Outcome::Sent,
            Err(error) => {
                self.waiting.fetch_sub(bytes, Ordering::Relaxed);
                match error {
                    TrySendError::Full(_) => self.full(is_replay),
                    TrySendError::Closed(_) => Outcome::Closed,
                }
            }
        }
    }

    pub(in crate::faces) fn frame(&self, text: String) {
        self.push(Item::Frame(Arc::new(text)), false);
    }

    /// Ends the connection once everything before has been sent. Nothing is taken any more.
    pub(in crate::faces) fn close(&self, code: u16, reason: &'static str) {
        let outcome = self.push(Item::Close(code, reason), false);
        self.is_over.store(true, Ordering::Relaxed);
        if outcome != Outcome::Sent {
            tracing::debug!(connection.id = %self.connection, "A connection was closed already");
        }
    }

    /// To be called for each item that was taken out of the line.
    pub(in crate::faces) fn taken(&self, item: &Item<L>) {
        self.waiting.fetch_sub(item.bytes(), Ordering::Relaxed);
    }

    /// Pushes an event with `push`. If it was an entry, it is in doubt until the client confirms it.
    pub(in crate::faces) fn deliver(&self, delivery: &Delivery<'_>, push: impl FnOnce() -> Outcome) -> Outcome {
        // Locked meanwhile: whoever has written the entry must find it noted, or would never ask for its confirmation.
        let mut entries = self.entries();
        let outcome = push();
        if let (Outcome::Sent, DeskEvent::Entry(_)) = (outcome, delivery.event) {
            entries.pushed_at = Some(Instant::now());
        }
        outcome
    }

    /// Whether something was sent that the client has not confirmed.
    pub(in crate::faces) fn is_in_doubt(&self) -> bool {
        let entries = self.entries();
        entries.pushed_at.is_some_and(|pushed_at| pushed_at >= entries.arrived)
    }

    /// Everything that was pushed before this has arrived.
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

    /// Whether nothing may be said or heard on it any more.
    pub(in crate::faces) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn full(&self, is_replay: bool) -> Outcome {
        if is_replay {
            return Outcome::Full;
        }
        if !self.is_over.swap(true, Ordering::Relaxed) {
            tracing::warn!(connection.id = %self.connection, "Cut off a connection that reads too slowly");
            if let Some(hang_up) = &self.hang_up {
                hang_up.now();
            }
        }
        Outcome::Closed
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
    fn who_does_not_read_is_cut_off_by_frames_and_by_bytes() {
        let (few_large, _waiting) = queue();
        assert!((0..4).all(|_| few_large.push(frame(1 << 20), false) == Outcome::Sent));
        assert_eq!(few_large.push(frame(1), true), Outcome::Full, "a replay is only asked to wait");
        assert_eq!(few_large.push(frame(1), false), Outcome::Closed);
        assert!(few_large.is_over());
        let (many_small, _waiting) = queue();
        assert!((0..FRAMES).all(|_| many_small.push(frame(1), false) == Outcome::Sent));
        assert_eq!(many_small.push(frame(1), false), Outcome::Closed);
    }

    #[test]
    fn who_reads_makes_room() {
        let (queue, mut waiting) = queue();
        for _ in 0..10_000 {
            assert_eq!(queue.push(frame(1 << 20), false), Outcome::Sent);
            queue.taken(&waiting.try_recv().unwrap());
        }
    }
}
