//! Pings of a websocket, and which events their pongs confirm.
//!
//! A pong repeats the payload of its ping, so it proves that everything written before the ping has arrived. An event may still wait in
//! a queue when its client is pinged. So queued events are counted against written ones, and a ping covers only what had been written.
//!
//! Times are in milliseconds since the connection was opened.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpStream;

use super::client_frames::PAYLOAD;

/// Pings without a pong that are remembered. A later one covers more, but is not remembered until these are answered.
const UNANSWERED: usize = 32;

/// The first byte of a ping.
const PING: u8 = 0x89;

#[derive(Debug, Default)]
pub(super) struct Pings {
    /// Locked during a write.
    sending: Mutex<Sending>,
    /// Number of events that were queued for this websocket so far.
    events_queued: AtomicU64,
    /// Number of events that were written to it.
    events_written: AtomicU64,
    /// Everything queued before this has been confirmed by a pong.
    confirmed: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Sending {
    /// Whether no frame is partly written.
    pub(super) is_between_frames: bool,
    /// The number of the newest ping.
    ping: u32,
    /// The pings without a pong, oldest first, and up to when each covers what was queued.
    unanswered: VecDeque<(u32, u64)>,
    /// Everything queued before this had been written at the newest ping.
    covers: u64,
    /// How many events had been queued at an earlier ping, and when that was.
    earlier: (u64, u64),
}

impl Sending {
    /// Writes the next ping. Returns false if it cannot be written now.
    ///
    /// # Errors
    /// If only a part of it could be written, so that the connection has to be closed.
    pub(super) fn write_ping(&mut self, stream: &TcpStream) -> io::Result<bool> {
        let number = self.ping.wrapping_add(1);
        let mut frame = [PING, PAYLOAD, 0, 0, 0, 0];
        frame[2..].copy_from_slice(&number.to_be_bytes());
        match stream.try_write(&frame) {
            Ok(written) if written == frame.len() => {
                self.ping = number;
                if self.unanswered.len() < UNANSWERED {
                    self.unanswered.push_back((number, self.covers));
                }
                Ok(true)
            }
            // In practice, so few bytes are always written at once.
            Ok(written) if written > 0 => {
                self.is_between_frames = false;
                Err(io::ErrorKind::WriteZero.into())
            }
            Ok(_) | Err(_) => Ok(false),
        }
    }
}

impl Pings {
    pub(super) fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock()
    }

    pub(super) fn count_queued(&self, events: u64) {
        self.events_queued.fetch_add(events, Ordering::SeqCst);
    }

    pub(super) fn uncount_queued(&self, events: u64) {
        let fewer = |queued: u64| Some(queued.saturating_sub(events));
        let _before = self.events_queued.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer);
    }

    pub(super) fn count_written(&self, events: u64) {
        self.events_written.fetch_add(events, Ordering::SeqCst);
    }

    /// Determines the time before which everything that was queued has been written, for the next ping. On a busy connection, whose
    /// queue is never seen empty, that is the last ping whose queued events have all been written.
    ///
    /// `now` must be taken before the call: an event is counted before it is queued, and its time of sending is taken after that.
    pub(super) fn update_covers(&self, sending: &mut Sending, now: u64) {
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

    /// Confirms what the ping with this number covers, and all earlier ones: a client may answer the newest ping only.
    pub(super) fn pong(&self, number: u32) {
        let Sending { ping, unanswered, .. } = &mut *self.sending();
        if number > *ping {
            return;
        }
        while let Some((_, covers)) = unanswered.front().copied().filter(|(ping, _)| *ping <= number) {
            self.confirmed.fetch_max(covers, Ordering::Relaxed);
            unanswered.pop_front();
        }
        if unanswered.is_empty() {
            *unanswered = VecDeque::new();
        }
    }

    /// Everything queued before this has been confirmed by a pong; zero before the first one.
    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }
}
