//! Receipts: how far each side was sent, and has received, the other side's messages. Collected in memory, persisted a moment later.
//!
//! A receipt covers *everything* up to a seq. Sending the newest message proves that only if nothing before it was left out, see
//! [`track`]. After a crash, the newest moves may be lost, and none is invented.
//!
//! [`moves`] lists what moves a receipt. [`process`] handles what has changed, and [`announce`] sends it to the clients that asked
//! for it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::desk::failure_log::FailureLog;
use crate::domain::{ConversationId, MessageId, ReceiptCursor, Seq, Side};
use crate::store::Receipt;
use track::Track;

mod announce;
mod moves;
mod process;
mod status;
mod track;

pub use status::ConversationReceipts;

/// Receipts held in memory; beyond this many, those that are persisted and need no processing are dropped.
const TRACKS: usize = 200_000;

/// A conversation, and the side that receives.
type Key = (ConversationId, Side);

/// A side's receipt and read mark.
type Marks = (ReceiptCursor, Seq);

pub(super) struct Receipts {
    tracks: Mutex<Tracks>,
    /// Whether any client of this process has asked for receipts.
    is_asked_for: AtomicBool,
    failures: FailureLog,
}

impl Default for Receipts {
    fn default() -> Self {
        Self {
            tracks: Mutex::default(),
            is_asked_for: AtomicBool::default(),
            failures: FailureLog::new("process receipts"),
        }
    }
}

#[derive(Default)]
struct Tracks {
    by_key: HashMap<Key, Track>,
    unwritten: HashSet<Key>,
    /// To be processed: a run to look up, or a move to announce.
    due: HashSet<Key>,
    /// Being processed.
    in_process: HashSet<Key>,
}

impl Receipts {
    /// A message was published: to live connections of the other side, or to none.
    fn published(&self, key: Key, (seq, message): (Seq, MessageId), is_sent: bool) {
        self.advance(key, |track| {
            track.newest = Some((seq, message));
            track.published(seq, is_sent);
        });
    }

    /// Everything beyond `after` and up to `last` was replayed from the log.
    fn replayed(&self, key: Key, after: Seq, last: Seq) {
        self.advance(key, |track| track.replayed(after, last));
    }

    /// A client of that side has received everything up to here.
    pub(super) fn received(&self, key: Key, up_to: Seq) {
        self.advance(key, |track| track.received(up_to));
    }

    /// That side has read everything up to here.
    fn read(&self, key: Key, up_to: Seq) {
        self.advance(key, |track| track.read(up_to));
    }

    /// Adds what is stored.
    fn load(&self, key: Key, receipt: ReceiptCursor, read: Seq) {
        let ((before, before_read), after) = self.change(key, |track| track.load(receipt, read));
        let stored = receipt.max(ReceiptCursor { sent: read, delivered: read });
        log_move(key, (before.max(stored), before_read.max(read)), after);
    }

    /// Records whether the run that began with `first` continues the receipt.
    fn decide(&self, key: Key, first: Seq, joins: bool) {
        self.advance(key, |track| track.decide(first, joins));
    }

    /// This was announced to the other side, and `before` the last time.
    fn note_announced(&self, key: Key, before: Marks, now: Marks) {
        if let Some(track) = self.tracks().by_key.get_mut(&key) {
            track.note_announced(before, now);
        }
    }

    fn advance(&self, key: Key, change: impl FnOnce(&mut Track)) {
        let (before, after) = self.change(key, change);
        log_move(key, before, after);
    }

    /// Returns the receipt and the read mark before and after the change.
    fn change(&self, key: Key, change: impl FnOnce(&mut Track)) -> (Marks, Marks) {
        let is_asked_for = self.is_asked_for();
        let Tracks { by_key, unwritten, due, .. } = &mut *self.tracks();
        let track = by_key.entry(key).or_default();
        let before = (track.receipt, track.read);
        change(track);
        let after = (track.receipt, track.read);
        if after.0 != before.0 {
            unwritten.insert(key);
        }
        let is_new = after != before || track.has_unannounced_read();
        if track.undecided().is_some() || (is_asked_for && is_new) {
            due.insert(key);
        }
        (before, after)
    }

    fn track(&self, key: Key) -> Option<Track> {
        self.tracks().by_key.get(&key).copied()
    }

    /// From now on, changes are collected for clients that want them.
    fn ask(&self) {
        self.is_asked_for.store(true, Ordering::Relaxed);
    }

    fn is_asked_for(&self) -> bool {
        self.is_asked_for.load(Ordering::Relaxed)
    }

    /// What is to be processed. Counts as being processed until [`end_processing`](Self::end_processing) or
    /// [`put_back_due`](Self::put_back_due).
    fn take_due(&self) -> Vec<Key> {
        let Tracks { due, in_process, .. } = &mut *self.tracks();
        in_process.extend(due.drain());
        in_process.iter().copied().collect()
    }

    fn end_processing(&self) {
        self.tracks().in_process.clear();
    }

    fn put_back_due(&self) {
        let Tracks { due, in_process, .. } = &mut *self.tracks();
        due.extend(in_process.drain());
    }

    /// Receipts that have changed since they were persisted, except those that are still to be compared with the stored ones: what
    /// this process persists first would count as announced already, and would never be announced.
    pub(super) fn unwritten(&self) -> Vec<Receipt> {
        self.unwritten_if(|track, is_due| track.is_loaded || !is_due)
    }

    /// The same, with those that have not been compared. For a process that stops.
    pub(super) fn all_unwritten(&self) -> Vec<Receipt> {
        self.unwritten_if(|_, _| true)
    }

    fn unwritten_if(&self, may_be_written: impl Fn(&Track, bool) -> bool) -> Vec<Receipt> {
        let Tracks { by_key, unwritten, due, in_process } = &*self.tracks();
        let receipt = |key: &Key| {
            let track = by_key.get(key)?;
            let (conversation, side) = *key;
            let may_be = may_be_written(track, due.contains(key) || in_process.contains(key));
            may_be.then_some(Receipt { conversation, side, cursor: track.receipt })
        };
        unwritten.iter().filter_map(receipt).collect()
    }

    /// These are in the store. Those that have moved since still have to be persisted.
    pub(super) fn written(&self, receipts: &[Receipt]) {
        let Tracks { by_key, unwritten, due, in_process } = &mut *self.tracks();
        for Receipt { conversation, side, cursor } in receipts {
            let key = (*conversation, *side);
            if by_key.get(&key).is_none_or(|track| track.receipt == *cursor) {
                unwritten.remove(&key);
            }
        }
        if by_key.len() > TRACKS {
            by_key.retain(|key, _| unwritten.contains(key) || due.contains(key) || in_process.contains(key));
        }
    }

    fn tracks(&self) -> MutexGuard<'_, Tracks> {
        self.tracks.lock()
    }
}

fn log_move((conversation, side): Key, before: Marks, after: Marks) {
    if after != before {
        let (receipt, read) = after;
        tracing::debug!(
            conversation.id = %conversation, ?side, sent = receipt.sent.get(), delivered = receipt.delivered.get(),
            read = read.get(), "A receipt moved"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::tests::CapturedLog;
    use crate::domain::Timestamp;

    #[test]
    fn receipts_to_be_announced_are_compared_with_the_store_before_they_are_persisted() {
        let (receipts, two) = (Receipts::default(), Seq::new(2));
        let key = (ConversationId::generate(Timestamp::from_millis(1)), Side::Desk);
        receipts.ask();
        receipts.received(key, two);
        assert_eq!(receipts.unwritten(), []);
        assert_eq!(receipts.take_due(), [key]);
        assert_eq!(receipts.unwritten(), [], "it is being compared");
        receipts.load(key, ReceiptCursor::default(), Seq::ZERO);
        let track = receipts.track(key).unwrap();
        assert!(track.announced.0.delivered < track.receipt.delivered, "it is still to be announced");
        let unwritten = receipts.unwritten();
        receipts.received(key, Seq::new(3));
        receipts.written(&unwritten);
        let unwritten = receipts.unwritten();
        assert_eq!(unwritten.len(), 1, "it has moved meanwhile");
        receipts.written(&unwritten);
        assert_eq!(receipts.unwritten(), []);
    }

    #[test]
    fn a_receipt_that_is_loaded_from_the_store_is_not_logged_as_a_move() {
        let captured = CapturedLog::start();
        let receipts = Receipts::default();
        let key = || (ConversationId::generate(Timestamp::from_millis(1)), Side::Desk);
        let stored = ReceiptCursor { sent: Seq::new(3), delivered: Seq::new(2) };
        let (loaded, received) = (key(), key());
        receipts.load(loaded, stored, Seq::new(1));
        assert_eq!(captured.text(), "");
        receipts.received(loaded, Seq::new(3));
        assert_eq!(captured.text().matches("A receipt moved").count(), 1);
        // Loading also shows that messages which were sent before continue the receipt.
        receipts.published(received, (Seq::new(4), MessageId::generate(Timestamp::from_millis(1))), true);
        receipts.load(received, stored, Seq::new(1));
        let log = captured.text();
        assert!(log.ends_with("sent=4 delivered=2 read=1\n"), "{log}");
        assert_eq!(log.matches("A receipt moved").count(), 2, "{log}");
    }

    #[test]
    fn receipts_to_be_compared_are_not_evicted_from_a_full_table() {
        let receipts = Receipts::default();
        let key = || (ConversationId::generate(Timestamp::from_millis(1)), Side::Desk);
        for _ in 0..TRACKS {
            receipts.received(key(), Seq::new(2));
        }
        receipts.ask();
        let late = key();
        receipts.received(late, Seq::new(2));
        let unwritten = receipts.unwritten();
        assert_eq!(unwritten.len(), TRACKS);
        receipts.written(&unwritten);
        assert_eq!(receipts.tracks().by_key.len(), 1, "the others are persisted");
        assert_eq!(receipts.take_due(), [late]);
        receipts.load(late, ReceiptCursor::default(), Seq::ZERO);
        assert_eq!(receipts.unwritten().len(), 1);
    }

    #[test]
    fn receipts_that_nobody_asked_for_are_persisted_at_once_and_all_at_the_end() {
        let receipts = Receipts::default();
        let key = |millis| (ConversationId::generate(Timestamp::from_millis(millis)), Side::Desk);
        receipts.received(key(1), Seq::new(2));
        let unwritten = receipts.unwritten();
        receipts.written(&unwritten);
        assert_eq!(unwritten.len(), 1);
        receipts.ask();
        receipts.received(key(2), Seq::new(2));
        assert_eq!(receipts.all_unwritten().len(), 1);
    }
}
