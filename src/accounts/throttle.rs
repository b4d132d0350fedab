//! How often something may be tried: counted in memory, per address.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::{Email, Timestamp};

/// How many addresses are remembered at most: some 3 MB.
const MAX_ADDRESSES: usize = 10_000;

/// Counts tries per address in a window that starts with the first one.
///
/// A try counts when it starts, not when it has failed, so that many at once do not slip through; what succeeds is
/// forgiven. Addresses without an account are counted like any other. When too many are remembered, the oldest window is
/// dropped: whoever wants to push one out that way pays with ten thousand password checks.
#[derive(Debug)]
pub struct Throttle {
    tries: u32,
    window: Duration,
    windows: Mutex<HashMap<Email, Window>>,
}

/// Too many tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many tries, wait {} s", retry_after.as_secs())]
pub struct TooManyTries {
    /// When the next try is heard; whole seconds, at least one.
    pub retry_after: Duration,
}

#[derive(Debug)]
struct Window {
    ends_at: Timestamp,
    tries: u32,
}

impl Throttle {
    /// At most `tries` in any `window`.
    #[must_use]
    pub fn new(tries: u32, window: Duration) -> Self {
        Self { tries, window, windows: Mutex::default() }
    }

    pub(super) fn of_log_ins() -> Self {
        Self::new(10, Duration::from_mins(1))
    }

    pub(super) fn of_mails() -> Self {
        Self::new(5, Duration::from_mins(10))
    }

    /// Counts a try.
    ///
    /// # Errors
    /// [`TooManyTries`] if it is one too many; it then is not counted.
    pub fn attempt(&self, email: &Email, now: Timestamp) -> Result<(), TooManyTries> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if !windows.contains_key(email) {
            make_room(&mut windows, now);
        }
        let fresh = || Window { ends_at: now.after(self.window), tries: 0 };
        let window = windows.entry(email.clone()).or_insert_with(fresh);
        if window.ends_at <= now {
            *window = fresh();
        }
        if window.tries >= self.tries {
            let seconds = now.until(window.ends_at).as_millis().div_ceil(1000);
            return Err(TooManyTries { retry_after: Duration::from_secs(u64::try_from(seconds).unwrap_or(1)) });
        }
        window.tries += 1;
        Ok(())
    }

    /// Forgets the tries so far: one of them was good.
    pub fn forgive(&self, email: &Email) {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).remove(email);
    }
}

fn make_room(windows: &mut HashMap<Email, Window>, now: Timestamp) {
    if windows.len() < MAX_ADDRESSES {
        return;
    }
    windows.retain(|_, window| window.ends_at > now);
    if windows.len() >= MAX_ADDRESSES {
        let oldest = windows.iter().min_by_key(|(_, window)| window.ends_at).map(|(email, _)| email.clone());
        oldest.map(|email| windows.remove(&email));
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
    fn the_eleventh_try_in_a_minute_waits_for_its_end() {
        let throttle = Throttle::of_log_ins();
        for second in 0..10 {
            throttle.attempt(&email("ann"), at(second)).unwrap();
        }
        let refused = TooManyTries { retry_after: Duration::from_secs(50) };
        assert_eq!(throttle.attempt(&email("ann"), at(10)), Err(refused));
        assert_eq!(throttle.attempt(&email("bob"), at(10)), Ok(()), "others are not held up");
        assert_eq!(throttle.attempt(&email("ann"), at(60)), Ok(()));
    }

    #[test]
    fn a_good_try_forgives_the_bad_ones() {
        let throttle = Throttle::new(1, Duration::from_mins(1));
        throttle.attempt(&email("ann"), at(0)).unwrap();
        throttle.forgive(&email("ann"));
        assert_eq!(throttle.attempt(&email("ann"), at(0)), Ok(()));
    }

    #[test]
    fn the_map_stays_bounded() {
        let throttle = Throttle::of_log_ins();
        for n in 0..=i64::try_from(MAX_ADDRESSES).unwrap() {
            throttle.attempt(&email(&n.to_string()), Timestamp::from_millis(n)).unwrap();
        }
        let windows = throttle.windows.lock().unwrap();
        assert_eq!(windows.len(), MAX_ADDRESSES);
        assert!(!windows.contains_key(&email("0")), "the oldest made room");
    }
}
