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

/// How long what is sent to a client and its next sign of life take together, on a slow network: what was sent within this
/// time before one may not have arrived when the client gave it.
const ROUND_TRIP: Duration = Duration::from_millis(500);

/// How long before a client closed its connection it may have ceased to read it.
pub const ON_THE_WAY: Duration = Duration::from_secs(2);

/// Entries of one conversation within this time are noted as one.
const SLICE: Duration = Duration::from_millis(200);

/// Entries that were sent, in the order of their times: the first of each slice.
#[derive(Debug, Default)]
pub struct Sent(VecDeque<(Instant, Unconfirmed)>);

impl Sent {
    /// An entry is about to be sent. `doubtful` is how long it may take until a dead connection is found out.
    pub fn note(&mut self, conversation: ConversationId, seq: Seq, doubtful: Duration) {
        let now = Instant::now();
        while self.0.front().is_some_and(|(at, _)| now.duration_since(*at) > doubtful + SLICE) {
            self.0.pop_front();
        }
        let mut slice = self.0.iter().rev().take_while(|(at, _)| now.duration_since(*at) < SLICE);
        if !slice.any(|(_, (known, _))| *known == conversation) {
            self.0.push_back((now, (conversation, seq)));
        }
    }

    /// The client gave a sign of life.
    pub fn heard_from(&mut self) {
        let now = Instant::now();
        while self.0.front().is_some_and(|(at, _)| now.duration_since(*at) > ROUND_TRIP + SLICE) {
            self.0.pop_front();
        }
    }

    /// The first entry of each conversation that was sent within this time.
    #[must_use]
    pub fn in_doubt(&self, doubtful: Duration) -> Vec<Unconfirmed> {
        let now = Instant::now();
        let mut first: Vec<Unconfirmed> = Vec::new();
        for (at, (conversation, seq)) in &self.0 {
            let is_in_doubt = now.duration_since(*at) <= doubtful + SLICE;
            if is_in_doubt && !first.iter().any(|(known, _)| known == conversation) {
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

    const DOUBTFUL: Duration = Duration::from_secs(45);

    fn conversation(number: u8) -> ConversationId {
        ConversationId::from_bytes([number; 12])
    }

    /// One entry in each of ten seconds, and another conversation's in the last of them.
    async fn ten_seconds() -> Sent {
        let mut sent = Sent::default();
        for seq in 1..=10 {
            sent.note(conversation(1), Seq::new(seq), DOUBTFUL);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        sent.note(conversation(2), Seq::new(7), DOUBTFUL);
        sent.note(conversation(2), Seq::new(8), DOUBTFUL);
        sent
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_closes_has_read_all_but_the_last() {
        let lost = ten_seconds().await.in_doubt(ON_THE_WAY);
        assert_eq!(lost, [(conversation(1), Seq::new(9)), (conversation(2), Seq::new(7))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_connection_leaves_all_in_doubt_since_it_was_last_known_to_live() {
        let sent = ten_seconds().await;
        tokio::time::advance(Duration::from_secs(39)).await;
        let lost = sent.in_doubt(DOUBTFUL);
        assert_eq!(lost, [(conversation(1), Seq::new(5)), (conversation(2), Seq::new(7))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_may_have_been_on_its_way_before_what_was_sent_last() {
        let mut sent = ten_seconds().await;
        sent.heard_from();
        assert_eq!(sent.in_doubt(DOUBTFUL), [(conversation(2), Seq::new(7))]);
        tokio::time::advance(ROUND_TRIP * 2).await;
        sent.heard_from();
        assert_eq!(sent.in_doubt(DOUBTFUL), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_client_says_it_has_is_beyond_doubt() {
        let mut sent = ten_seconds().await;
        sent.confirm(conversation(1), Seq::new(9));
        sent.confirm(conversation(2), Seq::new(7));
        assert_eq!(sent.in_doubt(DOUBTFUL), [(conversation(1), Seq::new(10)), (conversation(2), Seq::new(8))]);
        sent.confirm(conversation(1), Seq::new(u64::MAX));
        assert_eq!(sent.in_doubt(DOUBTFUL)[0], (conversation(1), Seq::new(u64::MAX)), "a client can make one up");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_beyond_doubt_is_forgotten() {
        let mut sent = ten_seconds().await;
        tokio::time::advance(DOUBTFUL * 2).await;
        sent.note(conversation(3), Seq::new(1), DOUBTFUL);
        assert_eq!(sent.0.len(), 1);
    }
}
