//! Clients whose websockets fail although their handshakes succeed.
//!
//! Some proxies let the handshake of a websocket through and cut the connection then. The library ends a session whose change to
//! a websocket fails; the stock client comes back, tries the same again, and never settles. So a client whose upgrades failed
//! twice in a minute is refused further ones for ten minutes, and stays on polling.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use socketioxide::socket::Sid;
use tokio::time::Instant;

use crate::net::ClientMark;

/// A websocket that has lived so long works: what ends it later is no fault of the way there.
const WORKS: Duration = Duration::from_secs(30);

/// Failures that lie further apart have nothing to do with each other.
const TOGETHER: Duration = Duration::from_mins(1);

/// Failures until a client is refused.
const FAILURES: u32 = 2;

/// How long it is refused.
const REFUSED: Duration = Duration::from_mins(10);

/// The most clients that are remembered.
const CLIENTS: usize = 10_000;

/// Upgrades that began, and those that failed. Clones share them.
#[derive(Clone, Default)]
pub(in crate::faces) struct Upgrades(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    begun: HashMap<Sid, (ClientMark, Instant)>,
    failed: HashMap<ClientMark, Failed>,
}

#[derive(Clone, Copy)]
struct Failed {
    times: u32,
    last: Instant,
}

impl Upgrades {
    /// Whether this client had better stay on polling.
    pub(in crate::faces) fn refuses(&self, client: ClientMark) -> bool {
        let known = self.known();
        known.failed.get(&client).is_some_and(|failed| failed.times >= FAILURES && failed.last.elapsed() < REFUSED)
    }

    /// A session's change to a websocket has begun.
    pub(in crate::faces) fn began(&self, session: Sid, client: ClientMark) {
        let mut known = self.known();
        if known.begun.len() == known.begun.capacity() {
            known.begun.retain(|_, (_, at)| at.elapsed() < WORKS);
        }
        known.begun.insert(session, (client, Instant::now()));
    }

    /// A session has ended; whether its websocket ever carried it, and whether it ended by an error, not by a farewell.
    pub(in crate::faces) fn ended(&self, session: Sid, has_carried: bool, by_error: bool) {
        let mut known = self.known();
        if let Some((client, at)) = known.begun.remove(&session)
            && at.elapsed() < WORKS
            && (by_error || !has_carried)
        {
            known.fail(client);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock()
    }
}

impl Known {
    fn fail(&mut self, client: ClientMark) {
        if self.failed.len() >= CLIENTS {
            self.failed.retain(|_, failed| failed.last.elapsed() < REFUSED);
        }
        let now = Instant::now();
        let before = self.failed.get(&client).filter(|failed| failed.last.elapsed() < TOGETHER);
        let times = before.map_or(0, |failed| failed.times) + 1;
        if times == FAILURES {
            tracing::info!("Websockets of a client keep failing; it stays on polling for {REFUSED:?}");
        }
        if self.failed.len() < CLIENTS || self.failed.contains_key(&client) {
            self.failed.insert(client, Failed { times, last: now });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn upgrade(upgrades: &Upgrades, client: ClientMark, has_carried: bool, by_error: bool) {
        let session = Sid::new();
        upgrades.began(session, client);
        upgrades.ended(session, has_carried, by_error);
    }

    #[tokio::test(start_paused = true)]
    async fn two_failures_in_a_minute_keep_a_client_on_polling_for_ten() {
        let (upgrades, client, other) = (Upgrades::default(), ClientMark::from(1), ClientMark::from(2));
        upgrade(&upgrades, client, false, true);
        assert!(!upgrades.refuses(client), "one failure is no proof");
        advance(TOGETHER / 2).await;
        upgrade(&upgrades, client, true, true);
        assert!(upgrades.refuses(client) && !upgrades.refuses(other));
        advance(REFUSED).await;
        assert!(!upgrades.refuses(client));
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_left_and_a_websocket_that_worked_are_no_failures() {
        let (upgrades, client) = (Upgrades::default(), ClientMark::from(1));
        for _ in 0..5 {
            upgrade(&upgrades, client, true, false);
            let session = Sid::new();
            upgrades.began(session, client);
            advance(WORKS).await;
            upgrades.ended(session, true, true);
        }
        assert!(!upgrades.refuses(client));
    }

    #[tokio::test(start_paused = true)]
    async fn upgrades_that_nobody_ends_do_not_add_up() {
        let upgrades = Upgrades::default();
        for _ in 0..1000 {
            upgrades.began(Sid::new(), ClientMark::from(1));
            advance(WORKS / 4).await;
        }
        assert!(upgrades.known().begun.len() < 32);
    }
}
