//! Rate limits by address, by person and by connection; and bans.
//!
//! [`Rate`] is a rate, [`Limiter`] a token bucket per key. [`Limits`] holds a limiter by address for each [`Action`] that costs
//! the server more than its client, [`Pace`] limits one connection. [`Source`] is an address, or the network that counts as one.
//! [`Bans`] are the bans in effect. Counts are in memory and are lost when the process ends.

use std::time::Duration;

use crate::auth::Subject;

mod action;
mod bans;
mod limiter;
mod pace;
mod rate;
mod source;

pub use action::{Action, ActionRate, ActionRateError};
pub use bans::{Bans, StillBanned};
pub use limiter::Limiter;
pub use pace::{Pace, Paced};
pub use rate::{Rate, RateError};
pub use source::{Route, Source};

/// A rate limit was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests, try again in {retry_after:?}")]
pub struct RateLimited {
    /// When a retry can succeed.
    pub retry_after: Duration,
}

impl From<Duration> for RateLimited {
    fn from(retry_after: Duration) -> Self {
        Self { retry_after }
    }
}

impl RateLimited {
    /// The same in milliseconds, at least one.
    #[must_use]
    pub fn retry_after_ms(&self) -> u64 {
        u64::try_from(self.retry_after.as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// The same in whole seconds, rounded up, for a `Retry-After` header.
    #[must_use]
    pub fn retry_after_secs(&self) -> u64 {
        self.retry_after_ms().div_ceil(1000)
    }
}

/// The key of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Source(Source),
    Person(Subject),
}

/// The limits of every address and every person.
#[derive(Debug)]
pub struct Limits {
    limiters: Vec<(Action, Option<Limiter<Key>>)>,
    spares_loopback: bool,
}

impl Limits {
    /// The default rates, with `changes` applied.
    ///
    /// With `spares_loopback`, clients on this machine are not counted.
    #[must_use]
    pub fn new(changes: &[ActionRate], spares_loopback: bool) -> Self {
        let limiters = Action::ALL.map(|action| (action, ActionRate::of(action, changes).map(Limiter::new)));
        Self { limiters: limiters.into(), spares_loopback }
    }

    /// Counts one `action` of `source`.
    ///
    /// # Errors
    /// [`RateLimited`] if the limit is reached. A rejected action is not counted.
    pub fn take(&self, action: Action, source: Source) -> Result<(), RateLimited> {
        match self.limiter(action, source) {
            Some(limiter) => limiter.take(&Key::Source(source)),
            None => Ok(()),
        }
    }

    /// Counts one `action` of `source`, and of the person if the action is also limited by person.
    ///
    /// # Errors
    /// [`RateLimited`] if either limit is reached.
    pub fn take_for(&self, action: Action, source: Source, person: Option<Subject>) -> Result<(), RateLimited> {
        let personal = action.by_person().zip(person);
        if let Some((action, person)) = personal
            && let Some(limiter) = self.limiter(action, source)
        {
            limiter.take(&Key::Person(person))?;
        }
        self.take(action, source)
    }

    /// Checks that one more `action` of `source` would be allowed, without counting it.
    ///
    /// # Errors
    /// [`RateLimited`] if it would not.
    pub fn check(&self, action: Action, source: Source) -> Result<(), RateLimited> {
        match self.limiter(action, source) {
            Some(limiter) => limiter.check(&Key::Source(source)),
            None => Ok(()),
        }
    }

    fn limiter(&self, action: Action, source: Source) -> Option<&Limiter<Key>> {
        if self.spares_loopback && source.is_loopback() {
            return None;
        }
        self.limiters.iter().find(|(known, _)| *known == action).and_then(|(_, limiter)| limiter.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_address_has_an_allowance_for_each_action() {
        let changes = ["registrations=2/1m".parse().unwrap(), "mails=off".parse().unwrap()];
        let limits = Limits::new(&changes, false);
        let [ann, bob] = ["192.0.2.1", "192.0.2.2"].map(|address| Source::of(address.parse().unwrap()));
        for _ in 0..2 {
            limits.take(Action::Registration, ann).unwrap();
        }
        let refused = limits.take(Action::Registration, ann).unwrap_err();
        assert_eq!((refused.retry_after_secs(), refused.retry_after_ms()), (30, 30_000));
        assert_eq!(limits.check(Action::Registration, ann), Err(refused));
        limits.take(Action::Registration, bob).unwrap();
        assert!((0..10_000).all(|_| limits.take(Action::Mail, ann).is_ok()), "this one is off");
    }

    #[tokio::test]
    async fn this_machine_can_be_spared() {
        let changes = ["registrations=1/1m".parse().unwrap()];
        let here = Source::of("127.0.0.1".parse().unwrap());
        let (spared, counted) = (Limits::new(&changes, true), Limits::new(&changes, false));
        assert!((0..10).all(|_| spared.take(Action::Registration, here).is_ok()));
        counted.take(Action::Registration, here).unwrap();
        assert!(counted.take(Action::Registration, here).is_err());
    }
}
