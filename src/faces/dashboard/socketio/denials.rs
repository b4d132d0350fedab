//! Limits how often a client is reminded that it is not authenticated.
//!
//! Existing frontends answer each `authenticated {success: false}` with another `authenticate` two seconds later, forever. One such
//! event starts an endless chain, and a reminder for each rejected message would start as many. An `authenticate` is always
//! answered; a reminder is skipped while a chain is running.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Shared;
use super::connection::SocketConnection;
use crate::faces::dashboard::wire::{Authenticated, NO_TOKEN};

/// A client that was denied longer ago has tried again since, or will not try again: two seconds, plus a round trip.
const PERIOD: Duration = Duration::from_secs(4);

/// When a client was last informed that it is not authenticated.
#[derive(Default)]
pub(super) struct Denials(Mutex<Option<Instant>>);

impl Denials {
    /// Notes that the client is being informed.
    pub(super) fn note(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Whether a reminder is due. It then counts as sent.
    fn take_reminder(&self) -> bool {
        let mut denied_at = self.0.lock();
        let is_due = denied_at.is_none_or(|denied_at| denied_at.elapsed() >= PERIOD);
        if is_due {
            *denied_at = Some(Instant::now());
        }
        is_due
    }
}

/// Informs a client that its `authenticate` failed.
pub(super) fn deny(connection: &Shared, message: &'static str) {
    connection.denials.note();
    connection.emit_authenticated(&Authenticated::no(message));
}

/// Informs a client that it is not authenticated, unless that was done a moment ago.
pub(super) fn remind(connection: &SocketConnection) {
    if connection.denials.take_reminder() {
        connection.emit_authenticated(&Authenticated::no(NO_TOKEN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_was_denied_a_moment_ago_is_not_reminded() {
        let denials = Denials::default();
        assert!(denials.take_reminder());
        assert!(!denials.take_reminder());
        tokio::time::advance(PERIOD).await;
        denials.note();
        assert!(!denials.take_reminder(), "a denial counts, too");
        tokio::time::advance(PERIOD).await;
        assert!(denials.take_reminder());
    }
}
