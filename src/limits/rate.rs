//! Rates.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

use super::RateLimited;

/// A number of actions per period, and how many of them may occur in a burst.
///
/// ```
/// use std::time::Duration;
/// use deskline::limits::Rate;
/// let rate: Rate = "100/1m:20".parse().unwrap();
/// assert_eq!((rate.interval(), rate.burst()), (Duration::from_millis(600), 20));
/// assert_eq!("30/1m".parse::<Rate>().unwrap().burst(), 30);
/// assert!("0/1m".parse::<Rate>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    interval: Duration,
    burst: u32,
}

/// The text is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a rate like 30/1m (30 a minute) or 100/1m:20 (100 a minute, 20 at once)")]
pub struct RateError;

impl Rate {
    /// `count` per `period`, in bursts of at most `burst`.
    #[must_use]
    pub const fn with_burst(count: NonZeroU32, period: Duration, burst: NonZeroU32) -> Self {
        let interval = match period.checked_div(count.get()) {
            Some(interval) => interval,
            None => period,
        };
        Self { interval, burst: burst.get() }
    }

    /// `count` per second, in bursts of at most `burst`; both are at least one.
    #[must_use]
    pub const fn per_second(count: u32, burst: u32) -> Self {
        let count = if count == 0 { 1 } else { count };
        let burst = if burst == 0 { 1 } else { burst };
        Self { interval: Duration::from_nanos(1_000_000_000 / count as u64), burst }
    }

    /// Takes `count` from an allowance that is full at `full_at`; at most a whole burst. Returns when it will be full then.
    ///
    /// # Errors
    /// [`RateLimited`] if fewer are left.
    pub(super) fn take_from(&self, full_at: Option<Instant>, count: u32, now: Instant) -> Result<Instant, RateLimited> {
        let then = full_at.map_or(now, |at| at.max(now)) + self.interval.saturating_mul(count.min(self.burst));
        match (then - now).checked_sub(self.recovery()) {
            Some(retry_after) if !retry_after.is_zero() => Err(RateLimited { retry_after }),
            Some(_) | None => Ok(then),
        }
    }

    /// Average time between two actions.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Size of a burst.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// Time in which an empty allowance refills.
    #[must_use]
    pub const fn recovery(&self) -> Duration {
        self.interval.saturating_mul(self.burst)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (rate, burst) = match text.split_once(':') {
            Some((rate, burst)) => (rate, Some(burst.trim().parse().map_err(|_| RateError)?)),
            None => (text, None),
        };
        let (count, period) = rate.split_once('/').ok_or(RateError)?;
        let count: NonZeroU32 = count.trim().parse().map_err(|_| RateError)?;
        let period = humantime::parse_duration(period.trim()).map_err(|_| RateError)?;
        if period.is_zero() || period > Duration::from_hours(24) {
            return Err(RateError);
        }
        Ok(Self::with_burst(count, period, burst.unwrap_or(count)))
    }
}
