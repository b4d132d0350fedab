//! A connection that leads nowhere, and keeps what it was told and when.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Connection, Delivery, Feed, Outcome, Revoked, Unconfirmed};
use crate::domain::{ConnectionId, ConversationId, Seq, UserId};

/// What a connection was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) revoked: Option<(Revoked, Instant)>,
    /// After how long to come back.
    pub(crate) come_back: Option<Duration>,
    pub(crate) dismissed: Option<Instant>,
}

pub(crate) struct Recorder {
    id: ConnectionId,
    feed: Feed,
    told: watch::Sender<Told>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { id: ConnectionId::next(), feed: Feed::default(), told: watch::Sender::default() })
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
    fn send(&self, _: &Delivery<'_>) -> Outcome {
        Outcome::Sent
    }
    fn revoke(&self, reason: Revoked) {
        self.told.send_modify(|told| told.revoked = Some((reason, Instant::now())));
    }
    fn reassure(&self) {}
    fn feed(&self) -> &Feed {
        &self.feed
    }
    fn is_of(&self, _: UserId) -> bool {
        true
    }
    fn unconfirmed(&self) -> Vec<Unconfirmed> {
        Vec::new()
    }
    fn confirm(&self, _: ConversationId, _: Seq) {}
    fn announce_stop(&self, come_back: Duration) {
        self.told.send_modify(|told| told.come_back = Some(come_back));
    }
    fn dismiss(&self) {
        self.told.send_modify(|told| told.dismissed = Some(Instant::now()));
    }
}
