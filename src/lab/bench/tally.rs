//! Counts every message of a run, to detect lost, duplicated and reordered ones.

use std::ops::Range;

use anyhow::Context as _;
use hdrhistogram::Histogram;

use super::wire::Stamp;

/// A set of numbers from 0, one bit for each.
#[derive(Debug, Default)]
struct Numbers(Vec<u64>);

impl Numbers {
    fn contains(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Returns whether it is new.
    fn insert(&mut self, number: u64) -> bool {
        let (is_new, Ok(word)) = (!self.contains(number), usize::try_from(number / 64)) else { return false };
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
        is_new
    }
}

/// Messages of one pair that arrived on one leg.
#[derive(Debug, Default)]
struct Arrivals {
    /// Counters of messages that arrived live.
    come: Numbers,
    /// Counters of messages that were read from the history.
    read: Numbers,
    /// One more than the highest counter that arrived live.
    next: u64,
}

/// One of the two legs of a message: to its receiver, or the confirmation to its sender.
#[derive(Debug)]
pub(super) struct Leg {
    arrivals: Vec<Arrivals>,
    /// Nanoseconds from sending to arrival, of messages sent within the window.
    pub(super) latency: Histogram<u64>,
    /// Messages that arrived, each counted once.
    pub(super) come: u64,
    /// Those that arrived within the window.
    pub(super) in_window: u64,
    /// Duplicates.
    pub(super) doubled: u64,
    /// Messages that arrived after a later one.
    pub(super) out_of_order: u64,
}

impl Leg {
    fn new(pairs: usize) -> anyhow::Result<Self> {
        let mut arrivals = Vec::new();
        arrivals.resize_with(pairs, Arrivals::default);
        Ok(Self { arrivals, latency: histogram()?, come: 0, in_window: 0, doubled: 0, out_of_order: 0 })
    }

    /// Records a message that arrived live at `now`. Stamps of unknown pairs are ignored.
    fn record(&mut self, stamp: Stamp, now: u64, window: &Range<u64>) {
        let Some(arrivals) = self.arrivals.get_mut(stamp.pair) else { return };
        if !arrivals.come.insert(stamp.counter) {
            self.doubled += 1;
            return;
        }
        if stamp.counter < arrivals.next {
            self.out_of_order += 1;
        } else {
            arrivals.next = stamp.counter + 1;
        }
        if !arrivals.read.contains(stamp.counter) {
            self.count(stamp, now, window);
        }
    }

    /// Records a message of the history. It may also arrive live, before or afterwards: pages recognise it by its id.
    fn read(&mut self, stamp: Stamp, now: u64, window: &Range<u64>) {
        let Some(arrivals) = self.arrivals.get_mut(stamp.pair) else { return };
        if !arrivals.read.insert(stamp.counter) {
            self.doubled += 1;
        } else if !arrivals.come.contains(stamp.counter) {
            self.count(stamp, now, window);
        }
    }

    fn count(&mut self, stamp: Stamp, now: u64, window: &Range<u64>) {
        self.come += 1;
        self.in_window += u64::from(window.contains(&now));
        if window.contains(&stamp.at) {
            self.latency.saturating_record(now.saturating_sub(stamp.at));
        }
    }
}

/// A histogram of nanoseconds, up to a minute.
pub(super) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1000, 60_000_000_000, 3).context("making a histogram")
}

/// Counts of a run.
#[derive(Debug)]
pub(super) struct Tally {
    /// The measured time, after the warm-up.
    window: Range<u64>,
    /// Messages sent.
    pub(super) sent: u64,
    /// Deliveries to receivers.
    pub(super) delivered: Leg,
    /// Confirmations to senders.
    pub(super) confirmed: Leg,
    /// Nanoseconds from when a message was due to when it was sent: the generator's share of a latency at a fixed rate.
    pub(super) pacing: Histogram<u64>,
    /// `error` events received.
    pub(super) refused: u64,
    /// The first of them.
    pub(super) first_refusal: Option<String>,
    /// Connections that were closed.
    pub(super) disconnects: u64,
}

impl Tally {
    /// An empty tally for this number of pairs.
    pub(super) fn new(pairs: usize) -> anyhow::Result<Self> {
        Ok(Self {
            window: 0..0,
            sent: 0,
            delivered: Leg::new(pairs)?,
            confirmed: Leg::new(pairs)?,
            pacing: histogram()?,
            refused: 0,
            first_refusal: None,
            disconnects: 0,
        })
    }

    /// Sets the measured time.
    pub(super) fn count_within(&mut self, window: Range<u64>) {
        self.window = window;
    }

    /// A message that was due at `due` is being sent.
    pub(super) fn sending(&mut self, due: u64, now: u64) {
        self.sent += 1;
        if self.window.contains(&due) {
            self.pacing.saturating_record(now.saturating_sub(due));
        }
    }

    /// A receiver received this message live.
    pub(super) fn deliver(&mut self, stamp: Stamp, now: u64) {
        self.delivered.record(stamp, now, &self.window);
    }

    /// A receiver read this message from the history, which is read once.
    pub(super) fn read(&mut self, stamp: Stamp, now: u64) {
        self.delivered.read(stamp, now, &self.window);
    }

    /// A sender received the confirmation of this message.
    pub(super) fn confirm(&mut self, stamp: Stamp, now: u64) {
        self.confirmed.record(stamp, now, &self.window);
    }

    /// A sender received a refusal.
    pub(super) fn refuse(&mut self, frame: &str) {
        self.refused += 1;
        self.first_refusal.get_or_insert_with(|| frame.to_owned());
    }

    /// Whether everything that was sent is delivered and confirmed.
    pub(super) fn is_settled(&self) -> bool {
        self.delivered.come >= self.sent && self.confirmed.come >= self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(counter: u64) -> Stamp {
        Stamp { pair: 0, counter, at: 100 }
    }

    #[test]
    fn lost_duplicated_and_late_messages_are_counted() {
        let mut tally = Tally::new(1).unwrap();
        tally.count_within(50..500);
        for counter in [0, 1, 3, 3, 2, 70] {
            tally.sending(100, 120);
            tally.deliver(stamp(counter), 300);
        }
        let leg = &tally.delivered;
        assert_eq!((leg.come, leg.doubled, leg.out_of_order, leg.in_window), (5, 1, 1, 5));
        assert_eq!(tally.sent - leg.come, 1);
        assert!(!tally.is_settled());
    }

    #[test]
    fn a_message_received_live_and_in_the_history_counts_once() {
        let mut tally = Tally::new(1).unwrap();
        tally.deliver(stamp(2), 300);
        for counter in [0, 1, 2] {
            tally.read(stamp(counter), 400);
        }
        tally.deliver(stamp(3), 500);
        let leg = &tally.delivered;
        assert_eq!((leg.come, leg.doubled, leg.out_of_order), (4, 0, 0));
        tally.deliver(stamp(1), 600);
        tally.read(stamp(3), 600);
        assert_eq!((tally.delivered.come, tally.delivered.doubled, tally.delivered.out_of_order), (4, 0, 1));
        tally.deliver(stamp(3), 700);
        tally.read(stamp(0), 700);
        assert_eq!((tally.delivered.come, tally.delivered.doubled), (4, 2));
    }

    #[test]
    fn only_messages_sent_within_the_window_have_a_latency() {
        let mut tally = Tally::new(1).unwrap();
        tally.count_within(101..500);
        tally.confirm(stamp(0), 300);
        tally.confirm(Stamp { at: 499, ..stamp(1) }, 2_000_499);
        assert_eq!(tally.confirmed.latency.len(), 1);
        assert_eq!(tally.confirmed.in_window, 1);
    }

    #[test]
    fn pairs_that_do_not_exist_are_ignored() {
        let mut tally = Tally::new(1).unwrap();
        tally.deliver(Stamp { pair: 1, ..stamp(0) }, 300);
        assert_eq!(tally.delivered.come, 0);
    }
}
