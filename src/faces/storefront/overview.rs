//! The agents' overview, a list of rooms. It is read once for all sockets, and at most ten times a second.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::connection::StorefrontConnection;
use super::wire;
use crate::desk::Desk;
use crate::faces::channels::Sockets;
use crate::store::StoreError;
use crate::supervise::restarting;

/// Rooms in the overview.
const ROOMS: usize = 500;

/// Shortest time between two overviews.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The newest overview, and the sockets that receive it.
#[derive(Default)]
pub(super) struct Overviews {
    changed: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    newest: Option<String>,
    sockets: Vec<Weak<StorefrontConnection>>,
}

impl Overviews {
    /// Starts the task that reads the overview after changes, until the sockets are closed.
    pub(super) fn start(desk: &Desk, sockets: &Sockets) -> Arc<Self> {
        let overviews = Arc::<Self>::default();
        let (updated, desk, stop) = (overviews.clone(), desk.clone(), sockets.stop.clone());
        sockets.tasks.spawn(async move {
            stop.run_until_cancelled_owned(restarting("room overview", || updated.update_on_change(&desk))).await;
        });
        overviews
    }

    /// Adds a socket.
    pub(super) fn subscribe(&self, connection: &Arc<StorefrontConnection>) {
        let mut state = self.state();
        state.sockets.retain(|socket| socket.strong_count() > 0);
        state.sockets.push(Arc::downgrade(connection));
    }

    /// Marks the newest overview as out of date.
    pub(super) fn change(&self) {
        self.changed.notify_one();
    }

    pub(super) fn newest(&self) -> Option<String> {
        self.state().newest.clone()
    }

    /// Reads the overview after each change, and queues it on all sockets.
    async fn update_on_change(&self, desk: &Desk) {
        loop {
            self.changed.notified().await;
            match read(desk).await {
                Ok(newest) => {
                    let mut state = self.state();
                    state.newest = newest;
                    state.sockets.iter().filter_map(Weak::upgrade).for_each(|connection| connection.send_overview());
                }
                Err(error) => tracing::warn!(%error, "Could not read the overview"),
            }
            tokio::time::sleep(MIN_INTERVAL).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Reads the overview; `None` if it cannot be encoded.
pub(super) async fn read(desk: &Desk) -> Result<Option<String>, StoreError> {
    Ok(wire::room_list(&desk.conversations.support_conversations(0, ROOMS).await?.0))
}
