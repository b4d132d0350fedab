//! Rate limit for messages of one person.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::UserId;

/// The burst, in seconds of the rate.
const BURST_SECONDS: u32 = 10;

/// Bytes of a text that count as one message.
const COUNTS_AS_ONE: usize = 20_000;

/// Buckets held in memory; beyond this many, full ones are dropped.
const REMEMBERED: usize = 10_000;

/// A token bucket per person.
pub(super) struct RateLimit {
    per_second: Option<u32>,
    buckets: Mutex<HashMap<UserId, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimit {
    pub(super) fn new(per_second: Option<u32>) -> Self {
        Self { per_second, buckets: Mutex::default() }
    }

    /// Takes one token of a person. If there is none, returns how long to wait for it.
    pub(super) fn take(&self, user: UserId) -> Result<(), Duration> {
        self.take_as(user, 1)
    }

    /// The same for a text; a long one takes several tokens.
    pub(super) fn take_text(&self, user: UserId, text: &str) -> Result<(), Duration> {
        self.take_as(user, 1 + u32::try_from(text.len() / COUNTS_AS_ONE).unwrap_or(u32::MAX - 1))
    }

    fn take_as(&self, user: UserId, messages: u32) -> Result<(), Duration> {
        let Some(per_second) = self.per_second else { return Ok(()) };
        let (rate, burst) = (f64::from(per_second), f64::from(per_second) * f64::from(BURST_SECONDS));
        let wanted = f64::from(messages).min(burst);
        let now = Instant::now();
        let mut buckets = self.buckets.lock();
        if buckets.len() >= REMEMBERED {
            buckets.retain(|_, bucket| now.duration_since(bucket.at).as_secs() < u64::from(BURST_SECONDS));
        }
        let bucket = buckets.entry(user).or_insert(Bucket { tokens: burst, at: now });
        bucket.tokens = (bucket.tokens + now.duration_since(bucket.at).as_secs_f64() * rate).min(burst);
        bucket.at = now;
        if bucket.tokens < wanted {
            return Err(Duration::from_secs_f64((wanted - bucket.tokens) / rate));
        }
        bucket.tokens -= wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_allowance_is_used_up_and_comes_back() {
        let limits = RateLimit::new(Some(2));
        let ann = UserId::from_bytes([1; 12]);
        for _ in 0..20 {
            limits.take(ann).unwrap();
        }
        assert_eq!(limits.take(ann), Err(Duration::from_millis(500)));
        assert_eq!(limits.take(UserId::from_bytes([2; 12])), Ok(()), "everybody has their own");
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(limits.take(ann), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_text_counts_as_several_messages_but_never_as_more_than_there_can_be() {
        let limits = RateLimit::new(Some(1));
        let ann = UserId::from_bytes([1; 12]);
        assert_eq!(limits.take_text(ann, &"x".repeat(100_000)), Ok(()));
        assert_eq!(limits.take_text(ann, &"x".repeat(100_000)), Err(Duration::from_secs(2)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(limits.take_text(ann, &"x".repeat(1_000_000)), Ok(()));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let limits = RateLimit::new(None);
        assert!((0..10_000).all(|_| limits.take(UserId::from_bytes([1; 12])).is_ok()));
    }
}
