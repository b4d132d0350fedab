//! Detects dead clients.

use std::time::Duration;

use tokio::time::Instant;

/// How connections are checked for dead clients.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    /// Interval between pings.
    pub interval: Duration,
    /// How long a client may take to answer a ping.
    pub timeout: Duration,
}

/// The heartbeat of one client. It expires an interval and a timeout after the client was last heard from, but never before the
/// client was pinged and had a full timeout to answer, even if this process was late to ping it.
#[derive(Debug)]
pub struct HeartbeatTimer {
    heartbeat: Heartbeat,
    ping_at: Instant,
    heard_at: Instant,
    /// When the client was first pinged since it was last heard from.
    pinged_at: Option<Instant>,
}

impl HeartbeatTimer {
    /// Starts the timer of a client that was heard from just now.
    #[must_use]
    pub fn start(heartbeat: Heartbeat) -> Self {
        let now = Instant::now();
        Self { heartbeat, ping_at: now + heartbeat.interval, heard_at: now, pinged_at: None }
    }

    /// The client has sent something.
    pub fn heard(&mut self) {
        (self.heard_at, self.pinged_at) = (Instant::now(), None);
    }

    /// A ping is sent to the client.
    pub fn pinged(&mut self) {
        let now = Instant::now();
        self.ping_at = now + self.heartbeat.interval;
        self.pinged_at.get_or_insert(now);
    }

    /// When the timer expires, unless the client is heard from before. Also the deadline for a write that begins now.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let pinged_at = self.pinged_at.unwrap_or_else(Instant::now);
        pinged_at.max(self.heard_at + self.heartbeat.interval) + self.heartbeat.timeout
    }

    /// When to ping the client, or to check whether the timer has expired.
    #[must_use]
    pub fn due(&self) -> Instant {
        if self.pinged_at.is_some() { self.ping_at.min(self.deadline()) } else { self.ping_at }
    }

    /// Whether the client was pinged and has not answered in time.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.pinged_at.is_some() && self.deadline() <= Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const HEARTBEAT: Heartbeat = Heartbeat { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };

    /// Pings until the timer expires. Returns how long that took.
    async fn time_to_expiry(timer: &mut HeartbeatTimer) -> Duration {
        let began = Instant::now();
        while !timer.has_expired() {
            timer.pinged();
            sleep_until(timer.due()).await;
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_timer_expires_an_interval_and_a_timeout_after_the_client_was_last_heard_from() {
        let mut timer = HeartbeatTimer::start(HEARTBEAT);
        sleep_until(timer.due()).await;
        timer.pinged();
        advance(SECOND).await;
        timer.heard();
        advance(9 * SECOND).await;
        timer.heard();
        sleep_until(timer.due()).await;
        assert!(!timer.has_expired());
        // The client was last heard from 15 s ago, and the timer expires 45 s after that.
        assert_eq!(time_to_expiry(&mut timer).await, 30 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_pinged_late_has_a_full_timeout_to_answer() {
        let mut timer = HeartbeatTimer::start(HEARTBEAT);
        advance(3600 * SECOND).await;
        assert!(timer.due() <= Instant::now() && !timer.has_expired());
        assert_eq!(time_to_expiry(&mut timer).await, HEARTBEAT.timeout);
    }
}
