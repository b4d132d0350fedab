//! How it is found out that a client has gone without a word.

use std::time::Duration;

use tokio::time::Instant;

/// How live connections are asked for signs of life.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    /// How often.
    pub interval: Duration,
    /// How long it may take to give one.
    pub timeout: Duration,
}

/// The signs of life of one client: it has gone an interval and a timeout after the last one, but not before it was asked and
/// had its time to answer, however late this process was.
#[derive(Debug)]
pub struct Pulse {
    heartbeat: Heartbeat,
    ask_at: Instant,
    heard_at: Instant,
    /// When it was asked first since it was heard.
    asked_at: Option<Instant>,
}

impl Pulse {
    /// Of a client that was heard just now.
    #[must_use]
    pub fn start(heartbeat: Heartbeat) -> Self {
        let now = Instant::now();
        Self { heartbeat, ask_at: now + heartbeat.interval, heard_at: now, asked_at: None }
    }

    /// The client gave a sign of life.
    pub fn heard(&mut self) {
        (self.heard_at, self.asked_at) = (Instant::now(), None);
    }

    /// It is asked for the next one.
    pub fn ask(&mut self) {
        let now = Instant::now();
        self.ask_at = now + self.heartbeat.interval;
        self.asked_at.get_or_insert(now);
    }

    /// When it has gone, unless it is heard by then. What is sent to it now has so long to be taken.
    #[must_use]
    pub fn end(&self) -> Instant {
        let asked_at = self.asked_at.unwrap_or_else(Instant::now);
        asked_at.max(self.heard_at + self.heartbeat.interval) + self.heartbeat.timeout
    }

    /// When there is something to be done: to ask it, or to give it up.
    #[must_use]
    pub fn due(&self) -> Instant {
        if self.asked_at.is_some() { self.ask_at.min(self.end()) } else { self.ask_at }
    }

    /// Whether it was asked and has not answered in time.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.asked_at.is_some() && self.end() <= Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const HEARTBEAT: Heartbeat = Heartbeat { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };

    /// Asks until it has gone; gives how long that took.
    async fn live_on(pulse: &mut Pulse) -> Duration {
        let began = Instant::now();
        while !pulse.is_gone() {
            pulse.ask();
            sleep_until(pulse.due()).await;
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_has_gone_an_interval_and_a_timeout_after_the_last_sign_of_life() {
        let mut pulse = Pulse::start(HEARTBEAT);
        sleep_until(pulse.due()).await;
        pulse.ask();
        advance(SECOND).await;
        pulse.heard();
        advance(9 * SECOND).await;
        pulse.heard();
        sleep_until(pulse.due()).await;
        assert!(!pulse.is_gone());
        // It was asked 15 s after it was heard, and has gone 45 s after that.
        assert_eq!(live_on(&mut pulse).await, 30 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn who_could_not_be_asked_in_time_has_time_to_answer() {
        let mut pulse = Pulse::start(HEARTBEAT);
        advance(3600 * SECOND).await;
        assert!(pulse.due() <= Instant::now() && !pulse.is_gone());
        assert_eq!(live_on(&mut pulse).await, HEARTBEAT.timeout);
    }
}
