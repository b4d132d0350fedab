//! Entries that were sent on a connection and are not confirmed yet.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{ConversationId, Seq};

/// Entries of one conversation within this time are noted as one run.
const SLICE: Duration = Duration::from_millis(200);

/// Runs that were sent, oldest first.
#[derive(Debug, Default)]
pub(super) struct InFlight(VecDeque<Run>);

/// Entries of one conversation that were sent at about the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) conversation: ConversationId,
    pub(super) first: Seq,
    pub(super) last: Seq,
    began_at: Instant,
    /// When the last of them was sent.
    sent_at: Instant,
}

impl InFlight {
    /// An entry was sent.
    pub(super) fn note(&mut self, conversation: ConversationId, seq: Seq) {
        let now = Instant::now();
        let mut recent = self.0.iter_mut().rev().take_while(|run| now.duration_since(run.began_at) < SLICE);
        match recent.find(|run| run.conversation == conversation) {
            Some(run) => {
                run.sent_at = now;
                run.first = run.first.min(seq);
                run.last = run.last.max(seq);
            }
            None => self.0.push_back(Run { conversation, first: seq, last: seq, began_at: now, sent_at: now }),
        }
    }

    /// Removes and returns what was sent before this instant.
    pub(super) fn take_arrived(&mut self, before: Instant) -> Vec<Run> {
        let mut arrived = Vec::new();
        self.0.retain(|run| {
            let has_arrived = run.sent_at < before;
            if has_arrived {
                arrived.push(*run);
            }
            !has_arrived
        });
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
        arrived
    }

    /// The client has received this conversation up to here in another way.
    pub(super) fn confirm(&mut self, conversation: ConversationId, up_to: Seq) {
        self.0.retain_mut(|run| {
            if run.conversation != conversation || run.first > up_to {
                return true;
            }
            run.first = up_to.next();
            run.first <= run.last
        });
    }

    /// The first and the last entry of each conversation.
    pub(super) fn spans(&self) -> Vec<(ConversationId, Seq, Seq)> {
        let mut spans: Vec<(ConversationId, Seq, Seq)> = Vec::new();
        for run in &self.0 {
            match spans.iter_mut().find(|(known, ..)| *known == run.conversation) {
                Some((_, first, last)) => (*first, *last) = (run.first.min(*first), run.last.max(*last)),
                None => spans.push((run.conversation, run.first, run.last)),
            }
        }
        spans
    }

    /// The same of one conversation.
    pub(super) fn span(&self, conversation: ConversationId) -> Option<(Seq, Seq)> {
        let runs = self.0.iter().filter(|run| run.conversation == conversation);
        runs.map(|run| (run.first, run.last)).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// When the oldest run was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.0.front().map(|run| run.sent_at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConversationId = ConversationId::from_bytes([1; 12]);
    const TWO: ConversationId = ConversationId::from_bytes([2; 12]);
    const SECOND: Duration = Duration::from_secs(1);

    fn seq(number: u64) -> Seq {
        Seq::new(number)
    }

    /// One entry in each of ten seconds, and another conversation's in the last of them.
    async fn ten_seconds() -> InFlight {
        let mut sent = InFlight::default();
        for number in 1..=10 {
            sent.note(ONE, seq(number));
            tokio::time::advance(SECOND).await;
        }
        sent.note(TWO, seq(7));
        sent.note(TWO, seq(8));
        sent
    }

    fn arrived(sent: &mut InFlight, before: Instant) -> Vec<(ConversationId, u64)> {
        let runs = sent.take_arrived(before);
        runs.iter().map(|run| (run.conversation, run.last.get())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn entries_sent_before_an_instant_have_arrived_and_the_rest_is_in_doubt() {
        let began = Instant::now();
        let mut sent = ten_seconds().await;
        assert_eq!(arrived(&mut sent, began), []);
        assert_eq!(sent.spans(), [(ONE, seq(1), seq(10)), (TWO, seq(7), seq(8))]);
        assert_eq!(arrived(&mut sent, began + SECOND * 8).last(), Some(&(ONE, 8)));
        assert_eq!(sent.spans(), [(ONE, seq(9), seq(10)), (TWO, seq(7), seq(8))]);
        assert_eq!(sent.oldest(), Some(began + SECOND * 8));
        tokio::time::advance(SECOND).await;
        arrived(&mut sent, Instant::now());
        assert!(sent.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_client_names_is_confirmed() {
        let mut sent = ten_seconds().await;
        sent.confirm(ONE, seq(9));
        sent.confirm(TWO, seq(7));
        assert_eq!(sent.spans(), [(ONE, seq(10), seq(10)), (TWO, seq(8), seq(8))]);
        sent.confirm(ONE, seq(u64::MAX));
        assert_eq!(sent.span(ONE), None, "a client can make one up");
    }
}
