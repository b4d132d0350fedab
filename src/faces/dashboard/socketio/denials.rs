//! How often a client is told that it is not authenticated, without having asked.
//!
//! Existing frontends answer each `authenticated {success: false}` with another `authenticate` two seconds later, for ever. So one
//! such event starts an endless chain, and a reminder for each refused message would start as many chains. An `authenticate`
//! is always answered; a reminder is left out while a chain is going on.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Shared;
use super::connection::SocketConnection;
use crate::faces::dashboard::wire::{Authenticated, NO_TOKEN};

/// A client that was denied this long ago has tried again since, or will not: two seconds, and time for the way there and back.
const PERIOD: Duration = Duration::from_secs(4);

/// When a socket was denied last.
#[derive(Default)]
pub(super) struct Denials(Mutex<Option<Instant>>);

impl Denials {
    /// A denial is being sent.
    pub(super) fn note(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// True if a reminder is due; it then counts as sent.
    fn take_reminder(&self) -> bool {
        let mut denied_at = self.0.lock();
        let is_due = denied_at.is_none_or(|denied_at| denied_at.elapsed() >= PERIOD);
        if is_due {
            *denied_at = Some(Instant::now());
        }
        is_due
    }
}

/// Tells a client that its `authenticate` failed.
pub(super) fn deny(connection: &Shared, message: &'static str) {
    connection.denials.note();
    connection.emit_authenticated(&Authenticated::no(message));
}

/// Tells a client that it is not authenticated, unless it was told so a moment ago.
pub(super) fn remind(connection: &SocketConnection) {
    if connection.denials.take_reminder() {
        connection.emit_authenticated(&Authenticated::no(NO_TOKEN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_is_reminded_who_was_denied_a_moment_ago() {
        let denials = Denials::default();
        assert!(denials.take_reminder());
        assert!(!denials.take_reminder());
        tokio::time::advance(PERIOD).await;
        denials.note();
        assert!(!denials.take_reminder(), "an answer counts, too");
        tokio::time::advance(PERIOD).await;
        assert!(denials.take_reminder());
    }
}
