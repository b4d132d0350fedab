//! Reminds clients that connect without authenticating.
//!
//! A page can remove its own `connect` listener by mistake, and then does not authenticate after a reconnect: it shows "connected", but
//! its messages are rejected. `authenticated {success: false}` makes a correct client authenticate, and a broken one at least show that
//! it is offline.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::connection::SocketConnection;
use super::{Shared, denials};
use crate::supervise::restarting;

/// How often connections are checked.
const PERIOD: Duration = Duration::from_millis(500);

type Queue = VecDeque<(Instant, Weak<SocketConnection>)>;

/// Connections that have not authenticated yet, oldest first. Clones share one queue.
#[derive(Clone)]
pub(super) struct AuthReminder {
    allowed: Duration,
    queue: Arc<Mutex<Queue>>,
}

impl AuthReminder {
    /// Starts the task that sends the reminders. It ends when the last clone is dropped.
    pub(super) fn start(allowed: Duration) -> Self {
        let queue = Arc::new(Mutex::new(Queue::new()));
        let watched = Arc::downgrade(&queue);
        tokio::spawn(restarting("authentication reminder", move || {
            let watched = watched.clone();
            async move {
                let mut tick = tokio::time::interval(PERIOD);
                while let Some(queue) = watched.upgrade() {
                    remind(&queue);
                    drop(queue);
                    tick.tick().await;
                }
            }
        }));
        Self { allowed, queue }
    }

    /// Adds a connection whose client has not authenticated.
    pub(super) fn add(&self, connection: &Shared) {
        let due = Instant::now() + self.allowed;
        self.queue.lock().push_back((due, Arc::downgrade(connection)));
    }
}

fn remind(queue: &Mutex<Queue>) {
    let now = Instant::now();
    loop {
        let connection = {
            let mut queue = queue.lock();
            match queue.front() {
                Some((due, _)) if *due <= now => queue.pop_front().and_then(|(_, connection)| connection.upgrade()),
                Some(_) | None => return,
            }
        };
        if let Some(connection) = connection
            && connection.is_silent()
        {
            denials::remind(&connection);
        }
    }
}
