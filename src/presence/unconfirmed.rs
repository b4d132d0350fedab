//! What was sent on a connection and may not have arrived.
//!
//! Most clients do not say what they have received. But they give signs of life: an event of their own, or an answer to
//! a ping, without which the connection would have been closed. What was sent some time before one of these has arrived; what
//! was sent just before it, or later, may have been lost with the connection, and counts as missed.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{ConversationId, Seq};

use super::Unconfirmed;

/// How long what is sent to a client and what it says to it take together, on a slow network.
pub const ROUND_TRIP: Duration = Duration::from_millis(500);

/// How long before a client closed its connection it may have ceased to read it.
pub const ON_THE_WAY: Duration = Duration::from_secs(2);

/// Entries of one conversation within this time are noted as one.
const SLICE: Duration = Duration::from_millis(200);

/// Entries that were sent, in the order of their times: the first of each slice.
#[derive(Debug, Default)]
pub struct Sent(VecDeque<(Instant, Unconfirmed)>);

impl Sent {
    /// An entry is about to be sent.
    pub fn note(&mut self, conversation: ConversationId, seq: Seq) {
        let now = Instant::now();
        let mut slice = self.0.iter().rev().take_while(|(at, _)| now.duration_since(*at) < SLICE);
        if !slice.any(|(_, (known, _))| *known == conversation) {
            self.0.push_back((now, (conversation, seq)));
        }
    }

    /// The client gave a sign of life at this time. What was sent so long before may not have arrived when it did.
    pub fn heard(&mut self, heard_at: Instant, on_the_way: Duration) {
        while self.0.front().is_some_and(|(at, _)| heard_at.saturating_duration_since(*at) > on_the_way + SLICE) {
            self.0.pop_front();
        }
    }

    /// The first entry of each conversation that is in doubt.
    #[must_use]
    pub fn in_doubt(&self) -> Vec<Unconfirmed> {
        let mut first: Vec<Unconfirmed> = Vec::new();
        for (_, (conversation, seq)) in &self.0 {
            if !first.iter().any(|(known, _)| known == conversation) {
                first.push((*conversation, *seq));
            }
        }
        first
    }

    /// All that was sent of this conversation up to here has arrived. What came after it in the same slice is still in doubt.
    pub fn confirm(&mut self, conversation: ConversationId, up_to: Seq) {
        for (_, (known, first)) in &mut self.0 {
            if *known == conversation {
                *first = (*first).max(up_to.next());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(number: u8) -> ConversationId {
        ConversationId::from_bytes([number; 12])
    }

    /// One entry in each of ten seconds, and another conversation's in the last of them.
    async fn ten_seconds() -> Sent {
        let mut sent = Sent::default();
        for seq in 1..=10 {
            sent.note(conversation(1), Seq::new(seq));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        sent.note(conversation(2), Seq::new(7));
        sent.note(conversation(2), Seq::new(8));
        sent
    }

    #[tokio::test(start_paused = true)]
    async fn all_is_in_doubt_until_a_sign_of_life_however_late_it_is_found_out_that_none_will_come() {
        let connected = Instant::now();
        let mut sent = ten_seconds().await;
        tokio::time::advance(Duration::from_hours(1)).await;
        let all = [(conversation(1), Seq::new(1)), (conversation(2), Seq::new(7))];
        assert_eq!(sent.in_doubt(), all);
        sent.heard(connected, ROUND_TRIP);
        assert_eq!(sent.in_doubt(), all);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_may_have_been_on_its_way_before_what_was_sent_last() {
        let mut sent = ten_seconds().await;
        sent.heard(Instant::now(), ON_THE_WAY);
        let last = [(conversation(1), Seq::new(9)), (conversation(2), Seq::new(7))];
        assert_eq!(sent.in_doubt(), last);
        tokio::time::advance(ON_THE_WAY * 2).await;
        assert_eq!(sent.in_doubt(), last, "nothing was heard since");
        sent.heard(Instant::now(), ON_THE_WAY);
        assert_eq!(sent.in_doubt(), []);
        assert_eq!(sent.0.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_client_says_it_has_is_beyond_doubt() {
        let mut sent = ten_seconds().await;
        sent.confirm(conversation(1), Seq::new(9));
        sent.confirm(conversation(2), Seq::new(7));
        assert_eq!(sent.in_doubt(), [(conversation(1), Seq::new(10)), (conversation(2), Seq::new(8))]);
        sent.confirm(conversation(1), Seq::new(u64::MAX));
        assert_eq!(sent.in_doubt()[0], (conversation(1), Seq::new(u64::MAX)), "a client can make one up");
    }
}
