//! A connection that leads nowhere, and keeps what it was told and when.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Connection, Outgoing, Recognized, Revoked, SendOutcome};
use crate::domain::{ConnectionId, DeskEvent};

/// What a connection was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) revoked: Option<(Revoked, Instant)>,
    /// After how long to come back.
    pub(crate) come_back: Option<Duration>,
    pub(crate) dismissed: Option<Instant>,
    /// Entries that it was sent.
    pub(crate) entries: u32,
    /// How often its client was asked for a sign of life.
    pub(crate) asked: u32,
}

pub(crate) struct Recorder {
    id: ConnectionId,
    recognized: Recognized,
    arrived: Mutex<Instant>,
    told: watch::Sender<Told>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(Recognized::ByPerson)
    }

    /// One whose client is known by this when it comes back.
    pub(crate) fn of(recognized: Recognized) -> Arc<Self> {
        let (id, arrived) = (ConnectionId::next(), Mutex::new(Instant::now()));
        Arc::new(Self { id, recognized, arrived, told: watch::Sender::default() })
    }

    /// Its client shows now that it has everything that was sent.
    pub(crate) fn confirm(&self) {
        *self.arrived.lock() = Instant::now();
    }

    /// What it has been told so far, and what it will be.
    pub(crate) fn told(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }
}

impl Connection for Recorder {
    fn id(&self) -> ConnectionId {
        self.id
    }
    fn send(&self, outgoing: &Outgoing<'_>) -> SendOutcome {
        if matches!(outgoing.event, DeskEvent::Entry(_)) {
            self.told.send_modify(|told| told.entries += 1);
        }
        SendOutcome::Sent
    }
    fn revoke(&self, reason: Revoked) {
        self.told.send_modify(|told| told.revoked = Some((reason, Instant::now())));
    }
    fn resend_authenticated(&self) {}
    fn arrived(&self) -> Instant {
        *self.arrived.lock()
    }
    fn recognized(&self) -> Recognized {
        self.recognized.clone()
    }
    fn ask(&self) {
        self.told.send_modify(|told| told.asked += 1);
    }
    fn announce_stop(&self, come_back: Duration) {
        self.told.send_modify(|told| told.come_back = Some(come_back));
    }
    fn close_gracefully(&self) {
        self.told.send_modify(|told| told.dismissed = Some(Instant::now()));
    }
}
