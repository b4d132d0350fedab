//! Limits attempts by address or another key, in memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::{Email, Timestamp};

/// The maximum number of addresses: about 3 MB.
const MAX_ADDRESSES: usize = 10_000;

/// Counts attempts per address in a window that starts with the first one.
///
/// An attempt counts when it starts, not when it fails, so that concurrent ones are limited too. A successful one resets the count.
/// Addresses without an account are counted like any other. When there are too many, the oldest window is evicted, which takes an
/// attacker ten thousand password checks.
#[derive(Debug)]
pub struct Throttle<K = Email> {
    tries: u32,
    window: Duration,
    windows: Mutex<HashMap<K, Window>>,
}

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts, try again in {} s", retry_after.as_secs())]
pub struct TooManyTries {
    /// When the next attempt is accepted; whole seconds, at least one.
    pub retry_after: Duration,
}

#[derive(Debug)]
struct Window {
    ends_at: Timestamp,
    tries: u32,
}

impl Throttle {
    pub(super) fn of_mails() -> Self {
        Self::new(5, Duration::from_mins(10))
    }
}

impl<K: Clone + Eq + Hash> Throttle<K> {
    /// At most `tries` attempts per `window`.
    #[must_use]
    pub fn new(tries: u32, window: Duration) -> Self {
        Self { tries, window, windows: Mutex::default() }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// [`TooManyTries`] if the limit is reached. The attempt is then not counted.
    pub fn attempt(&self, key: &K, now: Timestamp) -> Result<(), TooManyTries> {
        let mut windows = self.windows.lock();
        if !windows.contains_key(key) {
            make_room(&mut windows, now);
        }
        let fresh = || Window { ends_at: now.after(self.window), tries: 0 };
        let window = windows.entry(key.clone()).or_insert_with(fresh);
        // A window that ends later than one that starts now was started by a clock that was ahead.
        if window.ends_at <= now || window.ends_at > now.after(self.window) {
            *window = fresh();
        }
        if window.tries >= self.tries {
            let seconds = now.until(window.ends_at).as_millis().div_ceil(1000);
            return Err(TooManyTries { retry_after: Duration::from_secs(u64::try_from(seconds).unwrap_or(1)) });
        }
        window.tries += 1;
        Ok(())
    }

    /// Resets the count after a successful attempt.
    pub fn forgive(&self, key: &K) {
        self.windows.lock().remove(key);
    }

    /// Resets the counts of all keys that match.
    pub(super) fn forgive_all(&self, these: impl Fn(&K) -> bool) {
        self.windows.lock().retain(|key, _| !these(key));
    }
}

fn make_room<K: Clone + Eq + Hash>(windows: &mut HashMap<K, Window>, now: Timestamp) {
    if windows.len() < MAX_ADDRESSES {
        return;
    }
    windows.retain(|_, window| window.ends_at > now);
    if windows.len() >= MAX_ADDRESSES {
        let oldest = windows.iter().min_by_key(|(_, window)| window.ends_at).map(|(key, _)| key.clone());
        oldest.map(|key| windows.remove(&key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(name: &str) -> Email {
        format!("{name}@x.test").parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_eleventh_attempt_is_rejected_until_the_minute_ends() {
        let throttle = Throttle::new(10, Duration::from_mins(1));
        for second in 0..10 {
            throttle.attempt(&email("ann"), at(second)).unwrap();
        }
        let refused = TooManyTries { retry_after: Duration::from_secs(50) };
        assert_eq!(throttle.attempt(&email("ann"), at(10)), Err(refused));
        assert_eq!(throttle.attempt(&email("bob"), at(10)), Ok(()), "others are not held up");
        assert_eq!(throttle.attempt(&email("ann"), at(60)), Ok(()));
    }

    #[test]
    fn a_successful_attempt_resets_the_count() {
        let throttle = Throttle::new(1, Duration::from_mins(1));
        throttle.attempt(&email("ann"), at(0)).unwrap();
        throttle.forgive(&email("ann"));
        assert_eq!(throttle.attempt(&email("ann"), at(0)), Ok(()));
    }

    #[test]
    fn a_window_from_a_clock_that_was_ahead_blocks_nobody() {
        let throttle = Throttle::new(1, Duration::from_mins(1));
        throttle.attempt(&email("ann"), at(1_000_000)).unwrap();
        assert_eq!(throttle.attempt(&email("ann"), at(0)), Ok(()));
    }

    #[test]
    fn the_map_stays_bounded() {
        let throttle = Throttle::new(10, Duration::from_mins(1));
        for n in 0..=i64::try_from(MAX_ADDRESSES).unwrap() {
            throttle.attempt(&email(&n.to_string()), Timestamp::from_millis(n)).unwrap();
        }
        let windows = throttle.windows.lock();
        assert_eq!(windows.len(), MAX_ADDRESSES);
        assert!(!windows.contains_key(&email("0")), "the oldest made room");
    }
}
