//! How many messages one person may send.

use crate::domain::UserId;
use crate::limits::{Limiter, Rate, RateLimited};

/// A burst, in seconds of the rate.
const BURST_SECONDS: u32 = 10;

/// Bytes of a text that count as one message.
const BYTES_PER_MESSAGE: usize = 20_000;

/// Rate limit for the messages of each person.
pub(super) struct SendRate(Option<Limiter<UserId>>);

impl SendRate {
    /// `per_second` messages in the long run; `None` for any number.
    pub(super) fn new(per_second: Option<u32>) -> Self {
        let rate = |count: u32| Rate::per_second(count, count.saturating_mul(BURST_SECONDS));
        Self(per_second.map(|count| Limiter::new(rate(count))))
    }

    /// Counts one message.
    pub(super) fn take(&self, user: UserId) -> Result<(), RateLimited> {
        self.take_many(user, 1)
    }

    /// Counts a message with a text; a long one counts as several, at most as a whole burst.
    pub(super) fn take_text(&self, user: UserId, text: &str) -> Result<(), RateLimited> {
        self.take_many(user, u32::try_from(text.len() / BYTES_PER_MESSAGE).unwrap_or(u32::MAX).saturating_add(1))
    }

    fn take_many(&self, user: UserId, count: u32) -> Result<(), RateLimited> {
        self.0.as_ref().map_or(Ok(()), |limiter| limiter.take_many(&user, count))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ANN: UserId = UserId::from_bytes([1; 12]);

    #[tokio::test(start_paused = true)]
    async fn a_burst_lasts_for_ten_seconds_of_the_rate() {
        let limit = SendRate::new(Some(2));
        for _ in 0..20 {
            limit.take(ANN).unwrap();
        }
        assert_eq!(limit.take(ANN), Err(Duration::from_millis(500).into()));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(limit.take(ANN), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_text_counts_as_several_messages_but_never_as_more_than_there_can_be() {
        let limit = SendRate::new(Some(1));
        assert_eq!(limit.take_text(ANN, &"x".repeat(100_000)), Ok(()));
        assert_eq!(limit.take_text(ANN, &"x".repeat(100_000)), Err(Duration::from_secs(2).into()));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(limit.take_text(ANN, &"x".repeat(1_000_000)), Ok(()));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let limit = SendRate::new(None);
        assert!((0..10_000).all(|_| limit.take(ANN).is_ok()));
    }
}
