//! Clients that connect and never say who they are.
//!
//! A client can lose its own listener for `connect`, and then comes back from a reconnect without authenticating: it shows
//! "connected", and what its user writes goes nowhere. Telling it `authenticated {success: false}` makes an intact client
//! authenticate, and a broken one at least show that it is offline.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::connection::SocketConnection;
use super::{Shared, denials};
use crate::supervise::restarting;

/// How often it is looked who is silent.
const PERIOD: Duration = Duration::from_millis(500);

type Line = VecDeque<(Instant, Weak<SocketConnection>)>;

/// The connections that have not spoken yet, oldest first. Clones share one line.
#[derive(Clone)]
pub(super) struct AuthReminder {
    allowed: Duration,
    line: Arc<Mutex<Line>>,
}

impl AuthReminder {
    /// Watches for as long as the value or a clone lives.
    pub(super) fn start(allowed: Duration) -> Self {
        let line = Arc::new(Mutex::new(Line::new()));
        let watched = Arc::downgrade(&line);
        tokio::spawn(restarting("authentication reminder", move || {
            let watched = watched.clone();
            async move {
                let mut tick = tokio::time::interval(PERIOD);
                while let Some(line) = watched.upgrade() {
                    remind(&line);
                    drop(line);
                    tick.tick().await;
                }
            }
        }));
        Self { allowed, line }
    }

    pub(super) fn add(&self, connection: &Shared) {
        let due = Instant::now() + self.allowed;
        self.line.lock().push_back((due, Arc::downgrade(connection)));
    }
}

fn remind(line: &Mutex<Line>) {
    let now = Instant::now();
    loop {
        let connection = {
            let mut line = line.lock();
            match line.front() {
                Some((due, _)) if *due <= now => line.pop_front().and_then(|(_, connection)| connection.upgrade()),
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
