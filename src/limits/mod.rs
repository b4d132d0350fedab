//! How often something may be done: by one address, by one person, by one connection.
//!
//! [`Rate`] says how often, [`Limiter`] counts by any key, [`Limits`] holds one limiter by address for each [`Action`] that
//! costs a server more than it costs a client, [`Pace`] counts what comes on one connection. [`Source`] is an address as it
//! is counted. [`Bans`] knows who is shut out altogether. Counts are kept in memory and are lost when the process ends.

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

/// Too much of something in too short a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests, try again in {retry_after:?}")]
pub struct RateLimited {
    /// When the next try is worth it.
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

    /// The same in whole seconds, rounded up: what a `Retry-After` header says.
    #[must_use]
    pub fn retry_after_secs(&self) -> u64 {
        self.retry_after_ms().div_ceil(1000)
    }
}

/// Whom an allowance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Source(Source),
    Person(Subject),
}

/// What each address, and each person, may do.
#[derive(Debug)]
pub struct Limits {
    limiters: Vec<(Action, Option<Limiter<Key>>)>,
    spares_loopback: bool,
}

impl Limits {
    /// The default rate of every action, except where one of `changes` says otherwise.
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
    /// [`RateLimited`] if it is one too many; it is not counted then.
    pub fn take(&self, action: Action, source: Source) -> Result<(), RateLimited> {
        match self.limiter(action, source) {
            Some(limiter) => limiter.take(&Key::Source(source)),
            None => Ok(()),
        }
    }

    /// Counts one `action` of `source`, and of the person who asks if it is counted by person.
    ///
    /// # Errors
    /// [`RateLimited`] if it is one too many for either.
    pub fn take_for(&self, action: Action, source: Source, person: Option<Subject>) -> Result<(), RateLimited> {
        let personal = action.by_person().zip(person);
        if let Some((action, person)) = personal
            && let Some(limiter) = self.limiter(action, source)
        {
            limiter.take(&Key::Person(person))?;
        }
        self.take(action, source)
    }

    /// Whether one more `action` of `source` would be refused. Counts nothing.
    ///
    /// # Errors
    /// [`RateLimited`] if so.
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
