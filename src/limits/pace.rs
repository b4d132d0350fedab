//! Limits of one connection, and when it is closed for exceeding them.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::{Rate, RateLimited};

/// Refusals in a second that count as flooding. A client that honours `retryAfterMs` causes far fewer.
const FLOOD: u32 = 10;

/// Consecutive seconds of flooding after which the connection is closed.
const PATIENCE: u32 = 10;

const SECOND: Duration = Duration::from_secs(1);

/// A kind of request that is limited by connection. Messages and read marks are limited by person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paced {
    /// `authenticate`.
    Authenticate,
    /// `resume`.
    Resume,
    /// `typing` and `stop-typing`.
    Typing,
    /// `ping`.
    Ping,
    /// An `error` event for a request without an acknowledgement.
    ErrorEvent,
}

impl Paced {
    const COUNT: usize = 5;

    /// Several times what the busiest page does: one `typing` per repeated key, several resumes in a row after a long absence.
    const fn rate(self) -> Rate {
        match self {
            Self::Authenticate => Rate::per_second(5, 50),
            Self::Resume => Rate::per_second(20, 200),
            Self::Typing => Rate::per_second(50, 200),
            Self::Ping => Rate::per_second(10, 50),
            Self::ErrorEvent => Rate::per_second(20, 20),
        }
    }
}

/// Counts one connection's requests and refusals.
#[derive(Debug, Default)]
pub struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    full_at: [Option<Instant>; Paced::COUNT],
    /// Start of the current second, and the refusals in it.
    second: Option<(Instant, u32)>,
    /// Consecutive seconds of flooding before it.
    seconds: u32,
    is_over: bool,
}

impl Pace {
    /// Takes one from the allowance of this kind.
    ///
    /// # Errors
    /// [`RateLimited`] if there is none left.
    pub fn take(&self, kind: Paced) -> Result<(), RateLimited> {
        let mut state = self.state();
        let allowance = &mut state.full_at[kind as usize];
        *allowance = Some(kind.rate().take_from(*allowance, 1, Instant::now())?);
        Ok(())
    }

    /// Counts a refusal. Returns true, once, if the connection is to be closed.
    pub fn refused(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        let (began, count) = match state.second {
            Some((began, count)) if now - began < SECOND => (began, count),
            Some((began, count)) => {
                let goes_on = count >= FLOOD && now - began < 2 * SECOND;
                state.seconds = if goes_on { state.seconds + 1 } else { 0 };
                (if goes_on { began + SECOND } else { now }, 0)
            }
            None => (now, 0),
        };
        state.second = Some((began, count + 1));
        if state.seconds >= PATIENCE && !state.is_over {
            state.is_over = true;
            return true;
        }
        false
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts refusals at a rate for some seconds. Returns whether the connection was to be closed.
    async fn flood(pace: &Pace, a_second: u32, seconds: u32) -> bool {
        let mut is_over = false;
        for _ in 0..seconds * a_second {
            is_over |= pace.refused();
            tokio::time::advance(SECOND / a_second).await;
        }
        is_over
    }

    #[tokio::test(start_paused = true)]
    async fn ten_seconds_of_flood_are_the_end_and_no_shorter_ones() {
        let pace = Pace::default();
        assert!(!flood(&pace, 1000, 9).await);
        tokio::time::advance(2 * SECOND).await;
        assert!(!flood(&pace, 1000, 9).await, "a pause begins anew");
        tokio::time::advance(2 * SECOND).await;
        assert!(flood(&pace, 1000, 11).await);
        assert!(!flood(&pace, 1000, 20).await, "that is said once");
        assert!(flood(&Pace::default(), 12, 12).await, "also slowly");
        assert!(!flood(&Pace::default(), 5, 600).await, "a client that tries again and again is no flood");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_not_answered_by_a_flood() {
        let pace = Pace::default();
        let sent = (0..1000).filter(|_| pace.take(Paced::ErrorEvent).is_ok()).count();
        assert_eq!(sent, 20);
        tokio::time::advance(SECOND).await;
        assert_eq!(pace.take(Paced::ErrorEvent), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn each_kind_has_its_own_allowance() {
        let pace = Pace::default();
        for _ in 0..50 {
            pace.take(Paced::Authenticate).unwrap();
        }
        assert_eq!(pace.take(Paced::Authenticate), Err(Duration::from_millis(200).into()));
        pace.take(Paced::Typing).unwrap();
        tokio::time::advance(Duration::from_millis(200)).await;
        pace.take(Paced::Authenticate).unwrap();
    }
}
