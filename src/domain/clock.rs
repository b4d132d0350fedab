//! Time is given: stamps come from a [`Clock`], so that tests decide what time it is.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How far clocks of one service may differ, or be set back, without stamps running backwards.
const SET_BACK: Duration = Duration::from_mins(2);

/// A moment: whole milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment this many milliseconds after 1970.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, as tokens count them.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Later by `span`; the last moment there is, if that overflows.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from `self` until `later`; zero if that has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// The stamp of something that happens at this moment after something stamped `before`. Stamps do not run backwards by a
    /// clock that is set back a little; but a stamp that lies further ahead was wrong, and holds up none that follow.
    ///
    /// ```
    /// use deskline::domain::Timestamp;
    /// let at = Timestamp::from_millis;
    /// assert_eq!(at(5_000).following(at(6_000)), at(6_000));
    /// assert_eq!(at(5_000).following(at(4_000_000_000_000)), at(5_000));
    /// ```
    #[must_use]
    pub fn following(self, before: Self) -> Self {
        if self.may_follow(before) { self } else { before }
    }

    /// Whether this can be the stamp of what follows something stamped `before`.
    #[must_use]
    pub fn may_follow(self, before: Self) -> bool {
        self >= before || self.until(before) > SET_BACK
    }

    /// Reads an RFC 3339 stamp; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)
    }
}

/// Shown as RFC 3339 in UTC with milliseconds, the way JavaScript's `toISOString` does: `2026-11-21T08:22:16.956Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The moment it is.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that a test sets by hand.
#[derive(Debug, Default)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that stands at `at` until it is moved.
    #[must_use]
    pub const fn at(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.0))
    }

    /// Moves the clock on.
    pub fn advance(&self, span: Duration) {
        self.0.store(self.now().after(span).0, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_look_like_javascripts_and_are_read_back() {
        let at = Timestamp::from_millis(1_795_249_336_956);
        assert_eq!(at.to_string(), "2026-11-21T08:22:16.956Z");
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        assert_eq!(Timestamp::parse("2026-11-21T08:22:16.956123+00:00"), Some(at));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_fixed_clock_moves_only_by_hand() {
        let clock = FixedClock::at(Timestamp::from_millis(5));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Timestamp::from_millis(1005));
    }
}
