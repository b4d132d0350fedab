//! Keeps clients on polling whose websockets fail after a successful handshake.
//!
//! Some proxies pass the handshake of a websocket and then close the connection. engineioxide ends a session whose upgrade fails; the
//! stock client reconnects and tries the same again, forever. So after two failed upgrades in a minute, further ones are rejected for
//! ten minutes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use socketioxide::socket::Sid;
use tokio::time::Instant;

use crate::net::ClientMark;

/// A websocket that has lived longer works: it was not closed by a proxy that cannot carry it.
const WORKS: Duration = Duration::from_secs(30);

/// Failures further apart are counted separately.
const TOGETHER: Duration = Duration::from_mins(1);

/// Failures until upgrades are rejected.
const FAILURES: u32 = 2;

/// How long upgrades are rejected.
const REFUSED: Duration = Duration::from_mins(10);

/// Most clients that are remembered.
const CLIENTS: usize = 10_000;

/// Upgrades that have begun, and those that failed. Clones share them.
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
    /// Whether to reject upgrades of this client.
    pub(in crate::faces) fn refuses(&self, client: ClientMark) -> bool {
        let known = self.known();
        known.failed.get(&client).is_some_and(|failed| failed.times >= FAILURES && failed.last.elapsed() < REFUSED)
    }

    /// Notes that an upgrade has begun.
    pub(in crate::faces) fn began(&self, session: Sid, client: ClientMark) {
        let mut known = self.known();
        if known.begun.len() == known.begun.capacity() {
            known.begun.retain(|_, (_, at)| at.elapsed() < WORKS);
        }
        known.begun.insert(session, (client, Instant::now()));
    }

    /// Notes that a session has ended. `has_carried`: its websocket carried the socket; `by_error`: it was not closed regularly.
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
    async fn leaving_a_page_and_losing_a_websocket_that_worked_are_not_failures() {
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
    async fn upgrades_without_an_end_do_not_accumulate() {
        let upgrades = Upgrades::default();
        for _ in 0..1000 {
            upgrades.began(Sid::new(), ClientMark::from(1));
            advance(WORKS / 4).await;
        }
        assert!(upgrades.known().begun.len() < 32);
    }
}
