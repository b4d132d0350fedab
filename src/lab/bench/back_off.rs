//! Reconnects after a lost connection.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::options::BenchOptions;
use super::target::{Endpoint, Target};
use crate::lab::testkit::socketio::{Dial, Socket};

/// First and longest pause of the stock client between attempts, randomised by half.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// When a client attempts to reconnect.
#[derive(Clone, Copy)]
pub(super) struct BackOff {
    /// Whether there is no pause before the first attempt.
    at_once: bool,
    /// When to give up.
    gave_up: Duration,
}

impl BackOff {
    pub(super) fn new(options: &BenchOptions) -> Self {
        Self { at_once: options.at_once, gave_up: options.drain }
    }

    /// Retries until it is connected and authenticated; `None` if that takes too long.
    pub(super) async fn come_back(self, target: &Target, endpoint: &Endpoint) -> Option<Socket> {
        let trying = async {
            let mut pause = if self.at_once { Duration::ZERO } else { PAUSE.0 };
            loop {
                sleep(pause.mul_f64(0.5 + rand::random::<f64>())).await;
                if let Ok(socket) = target.enter(endpoint, &Dial::slim()).await {
                    return socket;
                }
                pause = (pause * 2).clamp(PAUSE.0, PAUSE.1);
            }
        };
        timeout(self.gave_up, trying).await.ok()
    }
}
