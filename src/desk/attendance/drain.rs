//! Drains all connections when the server stops.

use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use tokio::time::{Instant, sleep};

use super::Attendance;
use crate::presence::Connection;

/// Reconnects per second that are spread over time: fewer than a server can accept while it starts.
const BACK_PER_SECOND: u32 = 2_500;

/// Connections closed per second. A client that is closed early finds no server if it reconnects at once, so this must not take
/// long.
const ENDED_PER_SECOND: u32 = 10_000;

/// Upper bound for the time over which either is spread.
const LONGEST: Duration = Duration::from_millis(2500);

/// Connections closed at a time.
const AT_ONCE: usize = 50;

/// How long the last packets may take to be written.
const GOING_OUT: Duration = Duration::from_millis(50);

/// How long clients may take to confirm them. What is not confirmed is sent again by the next server, and seen twice on a page that
/// cannot name what it has.
const CONFIRMED_WITHIN: Duration = Duration::from_millis(300);

/// Interval between two pings meanwhile: the announcement may not have been written at the first one.
const PING_AGAIN: Duration = Duration::from_millis(50);

impl Attendance {
    /// Announces to every connection that the server stops and when to reconnect, then closes them in random order.
    ///
    /// The more connections there are, the longer it takes, to avoid a reconnect storm at the next server: clients of dialects
    /// without such an announcement reconnect a fixed time after they have lost their connection.
    pub async fn drain(&self) {
        drain_all(self.0.presence.all_connections()).await;
    }
}

async fn drain_all(mut connections: Vec<Arc<dyn Connection>>) {
    connections.shuffle(&mut rand::rng());
    let count = u32::try_from(connections.len()).unwrap_or(u32::MAX);
    let spread = |per_second: u32| (Duration::from_secs(1) * count / per_second).min(LONGEST);
    let (back, end) = (spread(BACK_PER_SECOND), spread(ENDED_PER_SECOND));
    let announced_at = Instant::now();
    for connection in &connections {
        connection.announce_stop(back.mul_f64(rand::random()));
    }
    if count > 0 {
        sleep(GOING_OUT).await;
        confirm(&connections, announced_at).await;
    }
    let turns = u32::try_from(connections.len().div_ceil(AT_ONCE)).unwrap_or(u32::MAX).max(1);
    for some in connections.chunks(AT_ONCE) {
        for connection in some {
            connection.close_gracefully();
        }
        sleep(end / turns).await;
    }
}

/// Pings the clients that have not confirmed everything that was sent before this instant, and waits briefly until they have.
async fn confirm(connections: &[Arc<dyn Connection>], before: Instant) {
    let deadline = Instant::now() + CONFIRMED_WITHIN;
    while Instant::now() < deadline {
        let mut is_confirmed = true;
        for connection in connections.iter().filter(|connection| connection.arrived() < before) {
            connection.ping();
            is_confirmed = false;
        }
        if is_confirmed {
            return;
        }
        sleep(PING_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::presence::testing::Recorder;

    /// The most of the values in one of the slices of a tenth of a second that they fall into.
    fn most_in_a_slice(values: impl Iterator<Item = Duration>) -> usize {
        let mut slices = HashMap::<u128, usize>::new();
        for value in values {
            *slices.entry(value.as_millis() / 100).or_default() += 1;
        }
        slices.into_values().max().unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn many_are_asked_to_reconnect_and_closed_at_different_times() {
        let connections: Vec<_> = (0..5000).map(|_| Recorder::new()).collect();
        let begun = Instant::now();
        drain_all(connections.iter().map(|one| one.clone() as _).collect()).await;
        let records: Vec<_> = connections.iter().map(|one| one.record()).collect();
        let reconnect_after: Vec<Duration> = records.iter().map(|one| one.borrow().reconnect_after.unwrap()).collect();
        assert!(
            reconnect_after.iter().all(|after| *after <= Duration::from_secs(2)),
            "{:?}",
            reconnect_after.iter().max()
        );
        assert!(most_in_a_slice(reconnect_after.into_iter()) <= 500, "many reconnect at the same moment");

        let closed = || records.iter().map(|one| one.borrow().dismissed.unwrap() - begun);
        assert!(closed().min().unwrap() >= GOING_OUT, "closed before the request to reconnect could be written");
        assert!(closed().max().unwrap() <= Duration::from_secs(1), "{:?}", closed().max());
        assert!(most_in_a_slice(closed()) <= 1250, "many are closed at the same moment");
    }

    #[tokio::test(start_paused = true)]
    async fn clients_are_pinged_and_have_a_moment_to_confirm() {
        for confirms in [true, false] {
            let connection = Recorder::new();
            tokio::time::advance(Duration::from_millis(1)).await;
            let (begun, confirming) = (Instant::now(), connection.clone());
            let confirm = async move {
                sleep(GOING_OUT + Duration::from_millis(10)).await;
                if confirms {
                    confirming.confirm();
                }
            };
            tokio::join!(drain_all(vec![connection.clone()]), confirm);
            let record = connection.record();
            let took = record.borrow().dismissed.unwrap() - begun;
            assert!(record.borrow().pings > 0);
            assert_eq!(took < GOING_OUT + CONFIRMED_WITHIN, confirms, "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_are_asked_to_reconnect_at_once() {
        let connection = Recorder::new();
        drain_all(vec![connection.clone()]).await;
        assert!(connection.record().borrow().reconnect_after.unwrap() < Duration::from_millis(1));
        assert!(connection.record().borrow().dismissed.is_some());
    }
}
