//! Delivery: what every person and every side of a conversation has received, and how missed entries are replayed.
//!
//! A person's *cursor* in a conversation says how far their clients have confirmed it. A side's *receipt* says how far that side
//! was sent, and has received, the other side's messages. What is in flight on one connection is known to
//! [`presence`](crate::presence), and moves the cursor once it is confirmed.
//!
//! Reading order: [`cursors`], [`catch_up`], [`recover`], [`resume`], [`acknowledge`], [`receipts`], [`persist`].

use std::sync::Arc;

use super::directory::Directory;
use super::event_builder::EventBuilder;
use super::failure_log::FailureLog;
use super::tasks::Tasks;
use crate::presence::Presence;
use crate::store::ConversationStore;

mod acknowledge;
mod catch_up;
mod cursors;
mod persist;
mod receipts;
mod recover;
mod resume;

pub use acknowledge::AcknowledgeError;
pub use catch_up::Begun;
use cursors::Cursors;
pub use receipts::ConversationReceipts;
use receipts::Receipts;
use recover::PublishedUpTo;
pub use resume::{ResumeError, Resumed};

/// Cursors, receipts and replays. Clones share one state.
#[derive(Clone)]
pub struct Delivery(Arc<Inner>);

struct Inner {
    store: Arc<dyn ConversationStore>,
    directory: Arc<Directory>,
    events: Arc<EventBuilder>,
    presence: Arc<Presence>,
    cursors: Cursors,
    receipts: Receipts,
    persist_failures: FailureLog,
    published_up_to: PublishedUpTo,
}

impl Delivery {
    /// Starts the tasks that process receipts, and persist them with the cursors.
    pub(super) fn start(
        store: Arc<dyn ConversationStore>,
        directory: Arc<Directory>,
        events: Arc<EventBuilder>,
        presence: Arc<Presence>,
        tasks: &Tasks,
    ) -> Self {
        let (cursors, receipts) = (Cursors::default(), Receipts::default());
        let inner = Inner {
            store,
            directory,
            events,
            presence,
            cursors,
            receipts,
            persist_failures: FailureLog::new("persist delivered cursors and receipts"),
            published_up_to: PublishedUpTo::default(),
        };
        let delivery = Self(Arc::new(inner));
        let this = delivery.clone();
        tasks.keep_running("persisting cursors and receipts", move || this.clone().keep_persisting());
        let this = delivery.clone();
        tasks.keep_running("processing receipts", move || this.clone().keep_processing_receipts());
        delivery
    }
}
