//! Limits password attempts: wrong passwords lock out the address that they come from, not the owner of the account.
//!
//! Attempts are counted by account *and* address, so that a stranger locks out only themselves. Attempts from many addresses are also
//! counted by account; an address from which somebody has logged in before is exempt from that count. The counts are in memory: after a
//! restart, everybody has a full allowance.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::throttle::{Throttle, TooManyTries};
use crate::domain::{Email, Timestamp};
use crate::limits::Route;

/// Attempts for one account from one address, per minute.
const HERE: u32 = 10;

/// Attempts for one account from all addresses from which nobody has logged in before, per minute.
const ANYWHERE: u32 = 100;

const WINDOW: Duration = Duration::from_mins(1);

/// Addresses remembered from which somebody has logged in: about 5 MB. The oldest is evicted first.
const KNOWN: usize = 50_000;

/// An account, and the address of an attempt; `None` if the owner has presented a token.
type AttemptKey = (Email, Option<Route>);

/// Counts password attempts.
#[derive(Debug)]
pub(super) struct LockOut {
    here: Throttle<AttemptKey>,
    anywhere: Throttle<Email>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashSet<AttemptKey>,
    oldest_first: VecDeque<AttemptKey>,
}

impl Default for LockOut {
    fn default() -> Self {
        Self { here: Throttle::new(HERE, WINDOW), anywhere: Throttle::new(ANYWHERE, WINDOW), known: Mutex::default() }
    }
}

impl LockOut {
    /// Counts an attempt.
    pub(super) fn attempt(&self, email: &Email, from: Option<Route>, now: Timestamp) -> Result<(), TooManyTries> {
        let key = (email.clone(), from);
        self.here.attempt(&key, now)?;
        if from.is_none() || self.known().keys.contains(&key) {
            return Ok(());
        }
        self.anywhere.attempt(email, now)
    }

    /// Resets the count after a successful attempt.
    pub(super) fn let_in(&self, email: &Email, from: Option<Route>) {
        let key = (email.clone(), from);
        self.here.forgive(&key);
        let mut known = self.known();
        if from.is_none() || !known.keys.insert(key.clone()) {
            return;
        }
        known.oldest_first.push_back(key);
        if known.oldest_first.len() > KNOWN
            && let Some(oldest) = known.oldest_first.pop_front()
        {
            known.keys.remove(&oldest);
        }
    }

    /// Resets the counts after the owner has confirmed a mail.
    pub(super) fn forgive(&self, email: &Email) {
        self.anywhere.forgive(email);
        self.here.forgive_all(|(account, _)| account == email);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Source;

    fn route(n: u8) -> Route {
        Route::direct(Source::of(format!("192.0.2.{n}").parse().unwrap()))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn strangers_lock_out_only_themselves_and_a_known_address_is_exempt() {
        let (lock, ann): (_, Email) = (LockOut::default(), "ann@x.test".parse().unwrap());
        lock.attempt(&ann, Some(route(1)), at(0)).unwrap();
        lock.let_in(&ann, Some(route(1)));
        let mut refused = 0;
        for stranger in 2..=100 {
            for _ in 0..11 {
                refused += u32::from(lock.attempt(&ann, Some(route(stranger)), at(1)).is_err());
            }
            assert!(
                lock.attempt(&ann, Some(route(stranger)), at(1)).is_err(),
                "ten from one address, however many addresses"
            );
        }
        assert!(refused >= 99 * 11 - 100, "a hundred from all addresses: {refused}");
        assert!(lock.attempt(&ann, Some(route(200)), at(1)).is_err());
        lock.attempt(&ann, Some(route(1)), at(1)).unwrap();
        lock.attempt(&ann, None, at(1)).unwrap();
        lock.attempt(&"bob@x.test".parse().unwrap(), Some(route(2)), at(1)).unwrap();
        lock.attempt(&ann, Some(route(200)), at(61)).unwrap();
    }

    #[test]
    fn a_known_address_has_ten_attempts_too_and_a_mailed_link_unlocks_every_address() {
        let (lock, ann): (_, Email) = (LockOut::default(), "ann@x.test".parse().unwrap());
        lock.let_in(&ann, Some(route(1)));
        for _ in 0..10 {
            lock.attempt(&ann, Some(route(1)), at(0)).unwrap();
        }
        assert!(lock.attempt(&ann, Some(route(1)), at(0)).is_err());
        lock.forgive(&ann);
        lock.attempt(&ann, Some(route(1)), at(0)).unwrap();
    }
}
