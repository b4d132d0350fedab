//! Limits unauthenticated sessions, in total and per address. Beyond the limit, a handshake waits shortly for others to authenticate. Then
//! the oldest unauthenticated session is closed, or the handshake is rejected.
//!
//! A session is claimed once its client has authenticated, in the handshake or later. Its [`Session`] is stored with the request of its
//! handshake, and so lives exactly as long as the session of engineioxide.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::session::{End, Session};
use crate::domain::UserId;
use crate::limits::Source;

/// Longest time that a handshake waits for a slot.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// How often a waiting handshake checks for sessions to close.
const CHECK_PERIOD: Duration = Duration::from_secs(1);

/// Age below which a session is not closed, since it may be about to authenticate.
const GRACE: Duration = Duration::from_secs(5);

/// `Retry-After` of a rejected handshake.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Limits on sessions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Unclaimed sessions, in total.
    pub(super) total: usize,
    /// Unclaimed sessions of one address.
    pub(super) per_source: usize,
    /// Unclaimed sessions that were opened with a token of the same account.
    pub(super) per_account: usize,
    /// Waiting handshakes.
    pub(super) waiting: usize,
    /// Sessions that were closed to make room and still take memory: socketioxide holds one until its client should have connected to
    /// a namespace.
    pub(super) closed: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { total: 2000, per_source: 1000, per_account: 100, waiting: 4096, closed: 250 }
    }
}

/// Who opens a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Opener {
    /// A client without a valid token, by its address.
    Source(Source),
    /// A client with a valid token of this account.
    Account(UserId),
    /// The same, for a token that names the account by number.
    Number(u64),
}

/// There is no slot for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// Too many handshakes wait already.
    AtOnce,
    /// None became free in time.
    Waited,
}

/// Admits sessions. Clones share the limits.
#[derive(Clone)]
pub(super) struct Admission(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    total: Arc<Semaphore>,
    closed: Arc<Semaphore>,
    waiting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The unclaimed sessions, oldest first.
    unclaimed: BTreeMap<u64, Unclaimed>,
    /// Free slots per opener. Openers without a session are removed before the map grows.
    openers: HashMap<Opener, Arc<Semaphore>>,
    next: u64,
}

struct Unclaimed {
    opener: Opener,
    since: Instant,
    session: std::sync::Weak<Session>,
}

/// Of an opener, and of the total.
type Permits = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

/// A slot among the unclaimed sessions. Released when dropped.
pub(super) struct Slot {
    shared: Arc<Shared>,
    number: u64,
    permits: Permits,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.state().unclaimed.remove(&self.number);
    }
}

/// Counts a handshake as waiting until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    pub(super) fn new(bounds: Bounds) -> Self {
        let total = Arc::new(Semaphore::new(bounds.total));
        let closed = Arc::new(Semaphore::new(bounds.closed));
        Self(Arc::new(Shared { bounds, total, closed, waiting: AtomicUsize::new(0), state: Mutex::default() }))
    }

    /// Waits for a slot. `end` is called for each session that is closed for it.
    ///
    /// # Errors
    /// [`Full`] if none is free in time.
    pub(super) async fn admit<W: Future<Output = ()>>(
        &self,
        opener: Opener,
        end: impl Fn(End) -> W,
    ) -> Result<Slot, Full> {
        let own = self.0.semaphore(opener);
        let acquiring = async {
            let own = own.acquire_owned().await.ok()?;
            // Clients with a token do not take slots from those without.
            let total = match opener {
                Opener::Source(_) => Some(self.0.total.clone().acquire_owned().await.ok()?),
                Opener::Account(_) | Opener::Number(_) => None,
            };
            Some((own, total))
        };
        let mut acquiring = std::pin::pin!(acquiring);
        let deadline = Instant::now() + MAX_WAIT;
        let mut check_at = Instant::now();
        let mut waiting = None;
        loop {
            if let Ok(permits) = timeout_at(check_at.min(deadline), acquiring.as_mut()).await {
                return Ok(self.0.slot(opener, permits.ok_or(Full::AtOnce)?));
            }
            if waiting.is_none() {
                if self.0.waiting.fetch_add(1, Ordering::Relaxed) >= self.0.bounds.waiting {
                    self.0.waiting.fetch_sub(1, Ordering::Relaxed);
                    return Err(Full::AtOnce);
                }
                waiting = Some(Waiting(&self.0.waiting));
            }
            let is_last_check = Instant::now() >= deadline;
            if let Ok(permit) = self.0.closed.clone().try_acquire_owned()
                && let Some(session) = self.0.oldest(opener)
            {
                tracing::debug!("Closed an unauthenticated session to make room for others");
                end(session.end()).await;
                session.closed(permit);
            } else if is_last_check {
                return Err(Full::Waited);
            }
            check_at = Instant::now() + CHECK_PERIOD;
        }
    }
}

impl Shared {
    fn semaphore(&self, opener: Opener) -> Arc<Semaphore> {
        let most = match opener {
            Opener::Source(_) => self.bounds.per_source,
            Opener::Account(_) | Opener::Number(_) => self.bounds.per_account,
        };
        let mut state = self.state();
        if state.openers.len() == state.openers.capacity() {
            state.openers.retain(|_, own| Arc::strong_count(own) > 1);
        }
        state.openers.entry(opener).or_insert_with(|| Arc::new(Semaphore::new(most))).clone()
    }

    fn slot(self: &Arc<Self>, opener: Opener, permits: Permits) -> Slot {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        let unclaimed = Unclaimed { opener, since: Instant::now(), session: std::sync::Weak::new() };
        state.unclaimed.insert(number, unclaimed);
        drop(state);
        Slot { shared: self.clone(), number, permits }
    }

    /// Removes the oldest session past [`GRACE`]: one of this opener if the opener is at its limit, otherwise any.
    fn oldest(&self, opener: Opener) -> Option<Arc<Session>> {
        let mut state = self.state();
        let is_full = state.openers.get(&opener).is_some_and(|own| own.available_permits() == 0);
        let mut silent = state.unclaimed.iter().take_while(|(_, one)| one.since.elapsed() >= GRACE);
        let (number, oldest) = silent.find(|(_, one)| !is_full || one.opener == opener)?;
        let (number, session) = (*number, oldest.session.upgrade());
        state.unclaimed.remove(&number);
        session
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Slot {
    /// Releases the slot, and holds `permit` instead.
    pub(super) fn exchange(&mut self, permit: OwnedSemaphorePermit) {
        self.permits = (permit, None);
    }

    /// Sets the session that has this slot.
    pub(super) fn is_of(&self, session: &Arc<Session>) {
        if let Some(unclaimed) = self.shared.state().unclaimed.get_mut(&self.number) {
            unclaimed.session = Arc::downgrade(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { total: 3, per_source: 2, per_account: 1, waiting: 1, closed: 1 };

    fn source(n: u8) -> Opener {
        Opener::Source(Source::of([192, 0, 2, n].into()))
    }

    async fn admit(admission: &Admission, opener: Opener) -> Result<Slot, Full> {
        admission.admit(opener, |_| std::future::ready(())).await
    }

    #[tokio::test(start_paused = true)]
    async fn slots_are_limited_in_total_and_per_address_and_released() {
        let admission = Admission::new(BOUNDS);
        let first = admit(&admission, source(1)).await.unwrap_or_else(|_| panic!("a slot is free"));
        let second = admit(&admission, source(1)).await.unwrap_or_else(|_| panic!("a slot is free"));
        assert!(admit(&admission, source(1)).await.is_err(), "an address has two");
        let third = admit(&admission, source(2)).await.unwrap_or_else(|_| panic!("another address has its own"));
        assert!(admit(&admission, source(3)).await.is_err(), "there are three in total");
        let account = Opener::Account(UserId::from_bytes([1; 12]));
        let fourth = admit(&admission, account).await.unwrap_or_else(|_| panic!("a client with a token takes no slot"));
        drop(first);
        let fifth = admit(&admission, source(3)).await.unwrap_or_else(|_| panic!("a slot was released"));
        drop((second, third, fourth, fifth));
        for n in 0..=255 {
            drop(admit(&admission, source(n)).await);
        }
        assert!(admission.0.state().openers.len() < 10, "openers without a session are removed");
        assert_eq!(admission.0.total.available_permits(), BOUNDS.total);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_session_makes_room_unless_too_many_of_them_still_take_memory() {
        let admission = Admission::new(BOUNDS);
        let mut sessions = Vec::new();
        for _ in 0..2 {
            sessions.push(Session::silent(admit(&admission, source(1)).await.unwrap_or_else(|_| panic!("it is free"))));
        }
        tokio::time::advance(GRACE).await;
        let first = admit(&admission, source(1)).await;
        assert!(first.is_ok(), "the oldest session was closed");
        let refused = admit(&admission, source(1)).await;
        assert_eq!(refused.err(), Some(Full::Waited), "the closed session still takes memory");
        drop(sessions.remove(0));
        assert!(admit(&admission, source(1)).await.is_ok(), "the other one was closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_waits_for_a_slot() {
        let admission = Admission::new(BOUNDS);
        let held = [admit(&admission, source(1)).await, admit(&admission, source(1)).await];
        let began = Instant::now();
        let free = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(held);
        };
        let (waited, ()) = tokio::join!(admit(&admission, source(1)), free);
        assert!(waited.is_ok());
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_waiting_handshakes_is_limited() {
        let admission = Admission::new(BOUNDS);
        let _held = [admit(&admission, source(1)).await, admit(&admission, source(1)).await];
        let began = Instant::now();
        let (one, other) = tokio::join!(admit(&admission, source(1)), admit(&admission, source(1)));
        assert_eq!((one.err(), other.err()), (Some(Full::Waited), Some(Full::AtOnce)));
        assert_eq!(began.elapsed(), MAX_WAIT, "one waits in vain, the other is rejected at once");
        assert_eq!(admission.0.waiting.load(Ordering::Relaxed), 0);
    }
}
