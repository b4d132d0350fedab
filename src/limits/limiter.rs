//! Token buckets by key, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Rate, RateLimited};

/// Most keys that are tracked, some 5 MB. Further keys share one allowance until there is room.
const REMEMBERED: usize = 50_000;

/// Shortest time between two purges of keys with a full allowance.
const SWEEP: Duration = Duration::from_secs(1);

/// A token bucket per key. Keys with a full allowance are purged when memory is needed.
#[derive(Debug)]
pub struct Limiter<K> {
    rate: Rate,
    state: Mutex<State<K>>,
}

/// An allowance is represented by the time at which it will be full again.
#[derive(Debug)]
struct State<K> {
    by_key: HashMap<K, Instant>,
    /// Shared by all keys that there is no room for.
    others: Option<Instant>,
    swept: Option<Instant>,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    /// A limiter with this rate per key.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let state = State { by_key: HashMap::new(), others: None, swept: None };
        Self { rate, state: Mutex::new(state) }
    }

    /// Takes one from the allowance of `key`.
    ///
    /// # Errors
    /// [`RateLimited`] if none is left; nothing is taken then.
    pub fn take(&self, key: &K) -> Result<(), RateLimited> {
        self.take_many(key, 1)
    }

    /// Takes `count` from the allowance of `key`, or all of it if a burst is smaller.
    ///
    /// # Errors
    /// [`RateLimited`] if fewer are left; nothing is taken then.
    pub fn take_many(&self, key: &K, count: u32) -> Result<(), RateLimited> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let full_at = self.rate.take_from(state.full_at(key), count, now)?;
        state.set(key, full_at, now);
        Ok(())
    }

    /// Like [`take`](Self::take), without taking anything.
    ///
    /// # Errors
    /// [`RateLimited`] if none is left.
    pub fn check(&self, key: &K) -> Result<(), RateLimited> {
        let state = self.state.lock();
        self.rate.take_from(state.full_at(key), 1, Instant::now()).map(drop)
    }

    /// Refills the allowance of `key`.
    pub fn forgive(&self, key: &K) {
        self.state.lock().by_key.remove(key);
    }
}

impl<K: Eq + Hash + Clone> State<K> {
    fn full_at(&self, key: &K) -> Option<Instant> {
        let known = self.by_key.get(key).copied();
        known.or(if self.by_key.len() < REMEMBERED { None } else { self.others })
    }

    fn set(&mut self, key: &K, full_at: Instant, now: Instant) {
        if let Some(known) = self.by_key.get_mut(key) {
            *known = full_at;
            return;
        }
        if self.by_key.len() >= REMEMBERED && self.swept.is_none_or(|at| now - at >= SWEEP) {
            self.swept = Some(now);
            self.by_key.retain(|_, at| *at > now);
        }
        if self.by_key.len() < REMEMBERED {
            self.by_key.insert(key.clone(), full_at);
        } else {
            self.others = Some(full_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: &str) -> Limiter<usize> {
        Limiter::new(rate.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_allowance_is_used_up_and_refills() {
        let limiter = limiter("2/1s:20");
        for _ in 0..20 {
            limiter.take(&1).unwrap();
        }
        assert_eq!(limiter.take(&1), Err(RateLimited { retry_after: Duration::from_millis(500) }));
        assert_eq!(limiter.take(&2), Ok(()), "every key has its own");
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(limiter.take(&1), Ok(()));
        assert!(limiter.take(&1).is_err());
        limiter.forgive(&1);
        assert_eq!(limiter.take(&1), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_without_end_take_no_memory_without_end_and_get_no_allowance_without_end() {
        let limiter = limiter("10/1m");
        for key in 0..REMEMBERED {
            limiter.take(&key).unwrap();
        }
        let passed = (REMEMBERED..REMEMBERED * 2).filter(|key| limiter.take(key).is_ok()).count();
        assert_eq!(passed, 10, "the rest share one allowance");
        assert_eq!(limiter.take(&0), Ok(()), "whoever is known keeps their own");
        assert_eq!(limiter.state.lock().by_key.len(), REMEMBERED);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(limiter.take(&(REMEMBERED * 3)), Ok(()));
        assert!(limiter.state.lock().by_key.len() < 10, "what is whole again was forgotten");
    }
}
