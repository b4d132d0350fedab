//! To send everybody away, because the server stops.

use std::time::Duration;

use rand::seq::SliceRandom as _;
use tokio::time::sleep;

use super::Desk;

/// Connections that are told to come back in a second: what a server that starts can take in, with something to spare.
const BACK_PER_SECOND: u32 = 2_500;

/// Connections that are ended in a second. Whoever is ended early finds nobody when they try at once, so this must not take
/// long.
const ENDED_PER_SECOND: u32 = 10_000;

/// The longest time over which either is spread, however many there are.
const LONGEST: Duration = Duration::from_secs(3);

/// How many are ended at a time.
const AT_ONCE: usize = 50;

/// How long what was sent last may take to go out.
const GOING_OUT: Duration = Duration::from_millis(50);

impl Desk {
    /// Tells every connection that the server stops and when to come back, then ends one after the other, in no order.
    ///
    /// The more there are, the longer it takes, so that whoever serves next is not run over by all of them in one moment:
    /// clients without a word for it come back a fixed time after they have lost their connection.
    pub async fn dismiss(&self) {
        let mut connections = self.0.presence.all_connections();
        connections.shuffle(&mut rand::rng());
        let count = u32::try_from(connections.len()).unwrap_or(u32::MAX);
        let spread = |per_second: u32| (Duration::from_secs(1) * count / per_second).min(LONGEST);
        let (back, end) = (spread(BACK_PER_SECOND), spread(ENDED_PER_SECOND));
        for connection in &connections {
            connection.announce_stop(back.mul_f64(rand::random()));
        }
        if count > 0 {
            sleep(GOING_OUT).await;
        }
        let turns = u32::try_from(connections.len().div_ceil(AT_ONCE)).unwrap_or(u32::MAX).max(1);
        for some in connections.chunks(AT_ONCE) {
            for connection in some {
                connection.dismiss();
            }
            sleep(end / turns).await;
        }
    }
}
