//! A connection without a client, which records what it was sent and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Connection, Outgoing, Recognized, Revoked, SendOutcome};
use crate::domain::{ConnectionId, DeskEvent};

/// What was sent to a connection.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) revoked: Option<(Revoked, Instant)>,
    /// After how long to reconnect.
    pub(crate) reconnect_after: Option<Duration>,
    pub(crate) dismissed: Option<Instant>,
    /// How many entries.
    pub(crate) entries: u32,
    /// How many changes of a message's status.
    pub(crate) statuses: u32,
    /// How often its client was pinged.
    pub(crate) pings: u32,
}

pub(crate) struct Recorder {
    id: ConnectionId,
    recognized: Recognized,
    wants_receipts: AtomicBool,
    arrived: Mutex<Instant>,
    record: watch::Sender<Record>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(Recognized::ByPerson)
    }

    /// Creates a connection whose client is recognized by this when it reconnects.
    pub(crate) fn of(recognized: Recognized) -> Arc<Self> {
        let (id, arrived) = (ConnectionId::next(), Mutex::new(Instant::now()));
        Arc::new(Self {
            id,
            recognized,
            wants_receipts: AtomicBool::default(),
            arrived,
            record: watch::Sender::default(),
        })
    }

    /// Lets its client ask for receipts.
    pub(crate) fn want_receipts(&self) {
        self.wants_receipts.store(true, Ordering::Relaxed);
    }

    /// Lets its client confirm everything that was sent.
    pub(crate) fn confirm(&self) {
        *self.arrived.lock() = Instant::now();
    }

    /// What was sent to it so far, as a watch channel.
    pub(crate) fn record(&self) -> watch::Receiver<Record> {
        self.record.subscribe()
    }
}

impl Connection for Recorder {
    fn id(&self) -> ConnectionId {
        self.id
    }
    fn send(&self, outgoing: &Outgoing<'_>) -> SendOutcome {
        match outgoing.event {
            DeskEvent::Entry(_) => self.record.send_modify(|record| record.entries += 1),
            DeskEvent::Status(_) => self.record.send_modify(|record| record.statuses += 1),
            DeskEvent::Typing(_) | DeskEvent::Presence(_) => {}
        }
        SendOutcome::Sent
    }
    fn revoke(&self, reason: Revoked) {
        self.record.send_modify(|record| record.revoked = Some((reason, Instant::now())));
    }
    fn resend_authenticated(&self) {}
    fn wants_receipts(&self) -> bool {
        self.wants_receipts.load(Ordering::Relaxed)
    }
    fn arrived(&self) -> Instant {
        *self.arrived.lock()
    }
    fn recognized(&self) -> Recognized {
        self.recognized.clone()
    }
    fn is_new_page(&self) -> bool {
        matches!(self.recognized, Recognized::ByPage(_))
    }
    fn ping(&self) {
        self.record.send_modify(|record| record.pings += 1);
    }
    fn announce_stop(&self, reconnect_after: Duration) {
        self.record.send_modify(|record| record.reconnect_after = Some(reconnect_after));
    }
    fn close_gracefully(&self) {
        self.record.send_modify(|record| record.dismissed = Some(Instant::now()));
    }
}
