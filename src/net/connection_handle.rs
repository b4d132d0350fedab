//! A handle that closes a connection and reports its state.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::backlog::Share;
use super::pings::Pings;
use super::rewrite::Rewrite;
use super::unread_responses::UnreadResponse;
use crate::domain::UserId;

/// Closes the connection that a request came on, and reports its state. Clones refer to the same connection.
#[derive(Debug, Clone)]
pub struct ConnectionHandle {
    pub(super) stream: Weak<TcpStream>,
    pub(super) health: Arc<Health>,
}

/// The state of a connection, which outlives it.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) opened: Instant,
    /// When the peer was last heard from, in milliseconds since `opened`.
    pub(super) heard: AtomicU64,
    /// Whether the last write had to wait.
    pub(super) has_unsent: AtomicBool,
    /// When the kernel last accepted bytes, in milliseconds since `opened`.
    pub(super) taken: AtomicU64,
    pub(super) rewrite: Rewrite,
    pub(super) pings: Pings,
    /// Bytes that are queued for this connection.
    pub(super) share: Share,
    /// The large response that is being written, if any.
    pub(super) unread_response: UnreadResponse,
    /// Whether the connection still speaks HTTP, so that reads may contain the head of a request.
    pub(super) is_http: AtomicBool,
    pub(super) has_bare_lf: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            opened: Instant::now(),
            heard: AtomicU64::new(0),
            has_unsent: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            rewrite: Rewrite::default(),
            pings: Pings::default(),
            share: Share::default(),
            unread_response: UnreadResponse::default(),
            is_http: AtomicBool::new(true),
            has_bare_lf: AtomicBool::new(false),
        }
    }
}

impl Health {
    /// Notes that the peer has sent data.
    pub(super) fn mark_heard(&self) {
        if !self.has_unsent.load(Ordering::Relaxed) {
            self.heard.store(self.millis(), Ordering::Relaxed);
        }
    }

    pub(super) fn millis(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl ConnectionHandle {
    /// Creates a handle for a test.
    #[cfg(test)]
    pub(crate) fn of(stream: &Arc<TcpStream>) -> Self {
        Self { stream: Arc::downgrade(stream), health: Arc::default() }
    }

    /// Closes the connection at once. Buffered data is lost.
    pub fn abort(&self) {
        if let Some(stream) = self.stream.upgrade()
            && let Err(error) = SockRef::from(&*stream).shutdown(Shutdown::Both)
        {
            tracing::debug!(%error, "Could not close a connection: it is closed already");
        }
    }

    /// Counts events before they are queued for this websocket.
    pub fn count_queued(&self, events: u64) {
        self.health.pings.count_queued(events);
    }

    /// Subtracts events that were counted but not queued, or were sent in the response to a poll.
    pub fn uncount_queued(&self, events: u64) {
        self.health.pings.uncount_queued(events);
    }

    /// Sends a websocket ping between two frames; every client answers it. Its pong confirms the events that were written before;
    /// see [`answered`](Self::answered). Returns false if no ping can be sent now: data is waiting for the peer, or the connection
    /// still speaks HTTP.
    #[must_use]
    pub fn ping(&self) -> bool {
        let mut sending = self.health.pings.sending();
        let Some(stream) = self.stream.upgrade().filter(|_| sending.is_between_frames) else { return false };
        if self.health.is_http.load(Ordering::Relaxed) {
            return false;
        }
        self.health.pings.update_covers(&mut sending, self.health.millis());
        sending.write_ping(&stream).unwrap_or_else(|_| {
            // A partly written ping would corrupt the stream.
            self.abort();
            false
        })
    }

    /// Every event that was queued before this instant has been confirmed by a pong. `None` before the first one.
    #[must_use]
    pub fn answered(&self) -> Option<Instant> {
        let millis = self.health.pings.confirmed();
        (millis > 0).then(|| self.health.opened + Duration::from_millis(millis))
    }

    /// Replaces the next occurrence of `from` in the sent data by `to`, if one write contains all of it.
    pub fn replace_once(&self, from: Vec<u8>, to: Vec<u8>) {
        self.health.rewrite.replace_once(from, to);
    }

    /// Whether data is waiting to be sent because the peer does not read.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.is_open() && self.health.has_unsent.load(Ordering::Relaxed)
    }

    /// How long the waiting data has made no progress. Zero if nothing waits.
    pub(super) fn idle(&self) -> Duration {
        let taken = Duration::from_millis(self.health.taken.load(Ordering::Relaxed));
        if self.has_unsent() { self.health.opened.elapsed().saturating_sub(taken) } else { Duration::ZERO }
    }

    /// When the peer last sent data while nothing was waiting for it. The end of the stream does not count, since a proxy may
    /// have closed it.
    #[must_use]
    pub fn heard_at(&self) -> Instant {
        self.health.opened + Duration::from_millis(self.health.heard.load(Ordering::Relaxed))
    }

    /// Reserves memory for `bytes` that wait for the peer. Returns false if the connection, the person or all connections together
    /// have reached their limit. Released when everything has been sent.
    #[must_use]
    pub fn admit(&self, person: Option<UserId>, bytes: usize) -> bool {
        if !self.has_unsent() {
            self.health.share.release();
        }
        self.health.share.admit(person, bytes)
    }

    /// The large response that is being written.
    pub(super) fn unread_response(&self) -> &UnreadResponse {
        &self.health.unread_response
    }

    /// Whether a line of the last request's head ended with a bare LF.
    pub(super) fn has_bare_lf(&self) -> bool {
        self.health.has_bare_lf.load(Ordering::Relaxed)
    }

    /// Marks the connection as a websocket.
    pub(super) fn leave_http(&self) {
        // The response that accepts the upgrade has not been written yet.
        self.health.pings.sending().is_between_frames = false;
        self.health.is_http.store(false, Ordering::Relaxed);
    }

    /// Whether the connection is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stream.strong_count() > 0
    }
}
