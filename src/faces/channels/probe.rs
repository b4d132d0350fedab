//! Pings that show what a client has received.
//!
//! A websocket keeps the order of its frames, so the pong that repeats a ping's payload proves that everything written before
//! that ping has arrived. A connection is pinged as soon as something on it is unconfirmed, but not more often than every
//! [`GAP`], and not while a ping is still unanswered: at human speed a message is confirmed after one round trip.

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// Shortest time between two such pings of one connection. Limits the cost of a burst of messages.
pub(super) const GAP: Duration = Duration::from_millis(250);

/// The pings of one connection.
#[derive(Debug)]
pub(super) struct Probe {
    /// The newest ping, until it is answered.
    unanswered: Option<Ping>,
    number: u32,
    not_before: Instant,
}

#[derive(Debug)]
struct Ping {
    number: u32,
    /// Everything that was queued before this had been written before the ping; `None` if unknown.
    covers: Option<Instant>,
}

impl Probe {
    pub(super) fn new() -> Self {
        Self { unanswered: None, number: 0, not_before: Instant::now() }
    }

    /// When to ping a client that has not confirmed everything; `None` while a ping is unanswered.
    pub(super) fn due(&self) -> Option<Instant> {
        self.unanswered.is_none().then_some(self.not_before)
    }

    /// The next ping. `covers`: everything that was queued before this has been written.
    pub(super) fn ping(&mut self, covers: Option<Instant>) -> Message {
        self.number = self.number.wrapping_add(1);
        self.not_before = Instant::now() + GAP;
        // A client may answer the newest ping only, which proves what the one before it would have.
        let covers = covers.or_else(|| self.unanswered.as_ref()?.covers);
        self.unanswered = Some(Ping { number: self.number, covers });
        Message::Ping(Bytes::copy_from_slice(&self.number.to_be_bytes()))
    }

    /// Handles a pong. Everything that was queued before the returned time has arrived.
    pub(super) fn answered(&mut self, payload: &[u8]) -> Option<Instant> {
        self.unanswered.take_if(|ping| payload == ping.number.to_be_bytes())?.covers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(ping: &Message) -> Bytes {
        let Message::Ping(payload) = ping else { panic!("{ping}") };
        payload.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_pong_to_the_newest_ping_confirms() {
        let mut probe = Probe::new();
        assert_eq!(probe.due(), Some(Instant::now()), "the first ping is sent at once");
        let written = Instant::now();
        let first = payload(&probe.ping(Some(written)));
        assert_eq!(probe.due(), None);
        assert_eq!(probe.answered(b""), None, "an unsolicited pong");
        let second = payload(&probe.ping(None));
        assert_eq!(probe.answered(&first), None);
        assert_eq!(probe.answered(&second), Some(written), "the second was written after the first");
        assert_eq!(probe.answered(&second), None);
        assert_eq!(probe.due(), Some(Instant::now() + GAP));
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_that_was_sent_before_queued_frames_confirms_nothing() {
        let mut probe = Probe::new();
        let ping = payload(&probe.ping(None));
        assert_eq!(probe.answered(&ping), None);
        assert!(probe.due().is_some());
    }
}
