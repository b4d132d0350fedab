//! A handle that closes a connection and reports its state.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::backlog::Share;
use super::client_frames::PAYLOAD;
use super::rewrite::Rewrite;
use super::unread_responses::UnreadResponse;
use crate::domain::UserId;

/// Pings without a pong that are remembered. A later one covers more, but is not remembered until these are answered.
const UNANSWERED: usize = 32;

/// The first byte of a ping.
const PING: u8 = 0x89;

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
    /// Locked during a write.
    sending: Mutex<Sending>,
    /// Number of events that were queued for this websocket so far.
    events_queued: AtomicU64,
    /// Number of events that were written to it.
    pub(super) events_written: AtomicU64,
    /// Everything queued before this has been confirmed by a pong, in milliseconds since `opened`.
    pub(super) answered: AtomicU64,
    /// Bytes that are queued for this connection.
    pub(super) share: Share,
    /// The large response that is being written, if any.
    pub(super) unread_response: UnreadResponse,
    /// Whether the connection still speaks HTTP, so that reads may contain the head of a request.
    pub(super) is_http: AtomicBool,
    pub(super) has_bare_lf: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Sending {
    /// Whether no frame is partly written.
    pub(super) is_between_frames: bool,
    /// The number of the newest ping.
    ping: u32,
    /// The pings without a pong, oldest first, and up to when each covers what was queued, in milliseconds since `opened`.
    unanswered: VecDeque<(u32, u64)>,
    /// Everything queued before this had been written at the newest ping, in milliseconds since `opened`.
    covers: u64,
    /// How many events had been queued at an earlier ping, and when that was, in milliseconds since `opened`.
    earlier: (u64, u64),
}

impl Default for Health {
    fn default() -> Self {
        Self {
            opened: Instant::now(),
            heard: AtomicU64::new(0),
            has_unsent: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            rewrite: Rewrite::default(),
            sending: Mutex::default(),
            events_queued: AtomicU64::new(0),
            events_written: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            share: Share::default(),
            unread_response: UnreadResponse::default(),
            is_http: AtomicBool::new(true),
            has_bare_lf: AtomicBool::new(false),
        }
    }
}

impl Sending {
    /// The newest ping was sent.
    fn note_ping(&mut self) {
        if self.unanswered.len() < UNANSWERED {
            self.unanswered.push_back((self.ping, self.covers));
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

    /// Confirms what the ping with this number covers, and all earlier ones: a client may answer the newest ping only.
    pub(super) fn pong(&self, number: u32) {
        let Sending { ping, unanswered, .. } = &mut *self.sending();
        if number > *ping {
            return;
        }
        while let Some((_, covers)) = unanswered.front().copied().filter(|(ping, _)| *ping <= number) {
            self.answered.fetch_max(covers, Ordering::Relaxed);
            unanswered.pop_front();
        }
        if unanswered.is_empty() {
            *unanswered = VecDeque::new();
        }
    }

    /// Determines the instant before which everything that was queued has been written. On a busy connection, whose queue is never
    /// seen empty, that is the last ping whose queued events have all been written.
    fn update_covers(&self, sending: &mut Sending) {
        // The order matters: an event is counted before it is queued, and its time of sending is taken after that.
        let now = self.millis();
        let written = self.events_written.load(Ordering::SeqCst);
        let queued = self.events_queued.load(Ordering::SeqCst);
        if written >= queued {
            sending.covers = now;
        } else if written >= sending.earlier.0 {
            sending.covers = sending.covers.max(sending.earlier.1);
        } else {
            return;
        }
        sending.earlier = (queued, now);
    }

    pub(super) fn millis(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock()
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
        self.health.events_queued.fetch_add(events, Ordering::SeqCst);
    }

    /// Subtracts events that were counted but not queued, or were sent in the response to a poll.
    pub fn uncount_queued(&self, events: u64) {
        let fewer = |queued: u64| Some(queued.saturating_sub(events));
        let _before = self.health.events_queued.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer);
    }

    /// Sends a websocket ping between two frames; every client answers it. Its pong confirms the events that were written before;
    /// see [`answered`](Self::answered). Returns false if no ping can be sent now: data is waiting for the peer, or the connection
    /// still speaks HTTP.
    #[must_use]
    pub fn ping(&self) -> bool {
        let mut sending = self.health.sending();
        let Some(stream) = self.stream.upgrade().filter(|_| sending.is_between_frames) else { return false };
        if self.health.is_http.load(Ordering::Relaxed) {
            return false;
        }
        self.health.update_covers(&mut sending);
        let number = sending.ping.wrapping_add(1);
        let mut frame = [PING, PAYLOAD, 0, 0, 0, 0];
        frame[2..].copy_from_slice(&number.to_be_bytes());
        match stream.try_write(&frame) {
            Ok(written) if written == frame.len() => {
                sending.ping = number;
                sending.note_ping();
                true
            }
            // A partly written ping would corrupt the stream. In practice, so few bytes are always written at once.
            Ok(written) if written > 0 => {
                sending.is_between_frames = false;
                self.abort();
                false
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// Every event that was queued before this instant has been confirmed by a pong. `None` before the first one.
    #[must_use]
    pub fn answered(&self) -> Option<Instant> {
        let millis = self.health.answered.load(Ordering::Relaxed);
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
        self.health.sending().is_between_frames = false;
        self.health.is_http.store(false, Ordering::Relaxed);
    }

    /// Whether the connection is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stream.strong_count() > 0
    }
}
