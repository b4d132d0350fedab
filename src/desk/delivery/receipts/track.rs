//! The receipt of one side of one conversation, as far as this process knows it.
//!
//! Consecutive live messages that are sent form a *run*. Whether the run continues the receipt is looked up in the log once. From then
//! on, each message that is sent moves the receipt by itself, until one is not sent.

use crate::domain::{MessageId, ReceiptCursor, Seq};

/// A side's receipt and read mark, as far as this process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Track {
    pub(super) receipt: ReceiptCursor,
    pub(super) read: Seq,
    /// Whether the stored receipt has been loaded.
    pub(super) is_loaded: bool,
    continuity: Continuity,
    /// The first and the last message that were sent without a gap, up to the newest, if it is not known whether they
    /// continue `receipt`.
    run: Option<(Seq, Seq)>,
    /// What was announced to the other side last, or is known to it.
    pub(super) announced: (ReceiptCursor, Seq),
    /// The highest read mark that this process has announced.
    announced_read: Seq,
    /// The newest message that this process has published.
    pub(super) newest: Option<(Seq, MessageId)>,
}

/// Whether all messages up to the newest were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Continuity {
    #[default]
    Unknown,
    Unbroken,
    Gap,
}

impl Track {
    /// A live message was sent, or nobody was connected.
    pub(super) fn published(&mut self, seq: Seq, is_sent: bool) {
        if seq <= self.receipt.sent || self.run.is_some_and(|(_, last)| seq <= last) {
            // It was replayed from the log before it was published.
            return;
        }
        match (is_sent, self.continuity) {
            (true, Continuity::Unbroken) => self.receipt.sent = self.receipt.sent.max(seq),
            (true, Continuity::Unknown | Continuity::Gap) => {
                self.run = Some((self.run.map_or(seq, |(first, _)| first), seq));
            }
            (false, _) => (self.continuity, self.run) = (Continuity::Gap, None),
        }
    }

    /// Everything beyond `after` and up to `last` was replayed from the log.
    pub(super) fn replayed(&mut self, after: Seq, last: Seq) {
        if after <= self.receipt.sent {
            self.receipt.sent = self.receipt.sent.max(last);
        } else {
            let first = after.next();
            self.run = Some(match self.run {
                Some((known, end)) if first <= end.next() => (known.min(first), end.max(last)),
                _ => (first, last),
            });
        }
        self.reconsider();
    }

    /// A client has received everything up to here.
    pub(super) fn received(&mut self, up_to: Seq) {
        self.receipt = self.receipt.max(ReceiptCursor { sent: up_to, delivered: up_to });
        self.reconsider();
    }

    /// A read mark was stored. It has to be announced even if it was loaded from the store meanwhile.
    pub(super) fn read(&mut self, up_to: Seq) {
        if up_to > self.announced_read {
            self.announced.1 = self.announced.1.min(up_to.previous());
        }
        self.read = self.read.max(up_to);
        self.received(up_to);
    }

    /// This was announced to the other side, and `before` the last time.
    pub(super) fn note_announced(&mut self, before: (ReceiptCursor, Seq), now: (ReceiptCursor, Seq)) {
        if now.1 > before.1 {
            self.announced_read = self.announced_read.max(now.1);
        }
        // Else there is a new mark, which has still to be announced.
        if self.announced.1 == before.1 {
            self.announced.1 = now.1;
        }
        self.announced.0 = now.0;
    }

    /// Whether there is a read mark to announce.
    pub(super) fn has_unannounced_read(&self) -> bool {
        self.read > self.announced.1
    }

    fn reconsider(&mut self) {
        if let Some((first, last)) = self.run
            && first <= self.receipt.sent.next()
        {
            self.receipt.sent = self.receipt.sent.max(last);
            (self.continuity, self.run) = (Continuity::Unbroken, None);
        } else if self.continuity == Continuity::Gap {
            self.continuity = Continuity::Unknown;
        }
    }

    /// The run that has still to be checked against the log.
    pub(super) fn undecided(&self) -> Option<(Seq, Seq)> {
        self.run.filter(|_| self.continuity == Continuity::Unknown)
    }

    /// Records whether the run that began with `first` continues the receipt.
    pub(super) fn decide(&mut self, first: Seq, joins: bool) {
        match self.run {
            Some((begun, last)) if begun == first && joins => {
                self.receipt.sent = self.receipt.sent.max(last);
                (self.continuity, self.run) = (Continuity::Unbroken, None);
            }
            Some((begun, _)) if begun == first => self.continuity = Continuity::Gap,
            // Another run has begun meanwhile.
            _ => {}
        }
    }

    pub(super) fn load(&mut self, receipt: ReceiptCursor, read: Seq) {
        if !self.is_loaded {
            // A mark of this process has to be announced, although the store has it already.
            self.announced = (receipt, if self.read > Seq::ZERO { Seq::ZERO } else { read });
            self.is_loaded = true;
        }
        self.read = self.read.max(read);
        self.receipt = self.receipt.max(receipt).max(ReceiptCursor { sent: read, delivered: read });
        self.reconsider();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(number: u64) -> Seq {
        Seq::new(number)
    }

    fn loaded(sent: u64, delivered: u64, read: u64) -> Track {
        let mut track = Track::default();
        track.load(ReceiptCursor { sent: seq(sent), delivered: seq(delivered) }, seq(read));
        track
    }

    #[test]
    fn messages_count_as_sent_only_once_they_are_known_to_continue_the_receipt() {
        let mut track = loaded(3, 3, 0);
        track.published(seq(6), true);
        track.published(seq(7), true);
        assert_eq!((track.receipt.sent, track.undecided()), (seq(3), Some((seq(6), seq(7)))));
        track.decide(seq(6), true);
        assert_eq!((track.receipt.sent, track.undecided()), (seq(7), None));
        track.published(seq(9), true);
        assert_eq!(track.receipt.sent, seq(9), "nothing is left out between");
    }

    #[test]
    fn a_message_that_was_not_sent_holds_up_the_later_ones() {
        let mut track = loaded(3, 3, 0);
        track.published(seq(4), true);
        assert_eq!(track.undecided(), Some((seq(4), seq(4))));
        track.decide(seq(4), true);
        track.published(seq(5), false);
        track.published(seq(6), true);
        assert_eq!((track.receipt.sent, track.undecided()), (seq(4), None));
        track.replayed(seq(4), seq(5));
        assert_eq!(track.receipt.sent, seq(6), "the rest was handed over later");
    }

    #[test]
    fn what_a_client_confirms_closes_the_gap() {
        let mut track = loaded(0, 0, 0);
        track.published(seq(2), false);
        track.published(seq(5), true);
        track.received(seq(3));
        assert_eq!(
            (track.receipt.sent, track.undecided()),
            (seq(3), Some((seq(5), seq(5)))),
            "is there anything between?"
        );
        track.decide(seq(5), false);
        assert_eq!((track.receipt.sent, track.undecided()), (seq(3), None), "it is not asked for again");
        track.received(seq(4));
        assert_eq!(track.receipt, ReceiptCursor { sent: seq(5), delivered: seq(4) });
    }

    #[test]
    fn a_mark_that_the_store_shows_before_it_is_published_is_announced_once() {
        let mut track = loaded(2, 2, 2);
        assert!(!track.has_unannounced_read(), "what was read before is not");
        let before = track.announced;
        track.note_announced(before, (track.receipt, track.read));
        track.read(seq(1));
        assert!(track.has_unannounced_read(), "it was not announced, though it was loaded");
        track.note_announced(before, (track.receipt, seq(2)));
        assert!(track.has_unannounced_read(), "it arrived while something else was announced");
        let before = track.announced;
        track.note_announced(before, (track.receipt, track.read));
        track.read(seq(2));
        assert!(!track.has_unannounced_read());
        track.read(seq(3));
        assert!(track.has_unannounced_read());
    }

    #[test]
    fn receipts_and_read_marks_never_move_backwards() {
        let mut track = loaded(5, 4, 3);
        track.received(seq(2));
        track.replayed(seq(0), seq(1));
        track.load(ReceiptCursor::default(), seq(1));
        assert_eq!((track.receipt, track.read), (ReceiptCursor { sent: seq(5), delivered: seq(4) }, seq(3)));
    }

    #[test]
    fn a_mark_that_is_stored_before_the_receipt_is_loaded_is_still_announced() {
        let mut track = Track { read: seq(4), ..Track::default() };
        track.load(ReceiptCursor { sent: seq(2), delivered: seq(2) }, seq(4));
        assert_eq!(track.announced, (ReceiptCursor { sent: seq(2), delivered: seq(2) }, Seq::ZERO));
        assert_eq!(loaded(2, 2, 1).announced.1, seq(1), "what was read before is not");
    }

    #[test]
    fn a_run_that_was_broken_meanwhile_does_not_join() {
        let mut track = loaded(1, 1, 0);
        track.published(seq(3), true);
        track.published(seq(4), false);
        track.published(seq(5), true);
        track.decide(seq(3), true);
        assert_eq!(track.receipt.sent, seq(1));
    }
}
