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

/// Entries that were sent, in the order in which they began to be.
#[derive(Debug, Default)]
pub struct Sent(VecDeque<Note>);

/// Entries of one conversation that were sent at about the same time.
#[derive(Debug)]
struct Note {
    begun_at: Instant,
    ended_at: Instant,
    conversation: ConversationId,
    lowest: Seq,
}

impl Sent {
    /// An entry was sent.
    pub fn note(&mut self, conversation: ConversationId, seq: Seq) {
        let now = Instant::now();
        let mut recent = self.0.iter_mut().rev().take_while(|note| now.duration_since(note.begun_at) < SLICE);
        match recent.find(|note| note.conversation == conversation) {
            Some(note) => {
                note.ended_at = now;
                // What was lost on another connection may come after what is newer.
                note.lowest = seq.min(note.lowest);
            }
            None => self.0.push_back(Note { begun_at: now, ended_at: now, conversation, lowest: seq }),
        }
    }

    /// The client gave a sign of life at this time. What was sent so long before may not have arrived when it did.
    pub fn heard(&mut self, heard_at: Instant, on_the_way: Duration) {
        let has_arrived = |note: &Note| heard_at.saturating_duration_since(note.ended_at) > on_the_way;
        while self.0.front().is_some_and(has_arrived) {
            self.0.pop_front();
        }
    }

    /// Whether nothing is in doubt.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest entry of each conversation that is in doubt.
    #[must_use]
    pub fn in_doubt(&self) -> Vec<Unconfirmed> {
        let mut lowest: Vec<Unconfirmed> = Vec::new();
        for note in &self.0 {
            match lowest.iter_mut().find(|(known, _)| *known == note.conversation) {
                Some((_, lowest)) => *lowest = note.lowest.min(*lowest),
                None => lowest.push((note.conversation, note.lowest)),
            }
        }
        lowest
    }

    /// All that was sent of this conversation up to here has arrived. What came after it at about the same time is still in doubt.
    pub fn confirm(&mut self, conversation: ConversationId, up_to: Seq) {
        for note in &mut self.0 {
            if note.conversation == conversation {
                note.lowest = note.lowest.max(up_to.next());
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
    async fn what_was_lost_elsewhere_and_is_told_late_is_in_doubt_from_there() {
        for pause in [Duration::ZERO, SLICE * 2] {
            let mut sent = Sent::default();
            sent.note(conversation(1), Seq::new(10));
            tokio::time::advance(pause).await;
            sent.note(conversation(1), Seq::new(5));
            assert_eq!(sent.in_doubt(), [(conversation(1), Seq::new(5))]);
        }
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
