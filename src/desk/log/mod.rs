//! The log: appends every entry, and publishes it to the people whom it concerns.
//!
//! [`Log::append`] and [`Log::submit`] put a [`Submission`] into its lane. The lane stores what waits as one batch, then publishes
//! it in the order of the log.
//!
//! Reading order: [`submission`], [`lanes`], [`store`], [`publish`], then [`follow_log`], [`doubts`] and [`ingest`], which
//! publish what other processes write, and entries that were stored although their append failed.

use std::sync::Arc;

use super::attendance::Typing;
use super::delivery::Delivery;
use super::directory::Directory;
use super::event_builder::EventBuilder;
use super::tasks::Tasks;
use crate::domain::Clock;
use crate::presence::Presence;
use crate::store::{ConversationStore, Stores};

mod doubts;
mod follow_log;
mod ingest;
mod lanes;
mod publish;
mod store;
mod submission;
#[cfg(test)]
mod testing;

use follow_log::Published;
use lanes::Lanes;
pub(super) use submission::Submission;
pub use submission::{Sent, SubmitError};

/// The log of all conversations. Clones share one.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    store: Arc<dyn ConversationStore>,
    directory: Arc<Directory>,
    events: Arc<EventBuilder>,
    presence: Arc<Presence>,
    delivery: Delivery,
    typing: Typing,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    lanes: Lanes,
    published: Published,
}

impl Log {
    pub(super) fn new(parts: LogParts, stores: &Stores) -> Self {
        let LogParts { directory, events, presence, delivery, typing, clock, tasks } = parts;
        let published = Published::new(stores.is_shared, clock.now());
        // A store to which one process writes alone numbers all entries in one order.
        let lanes = Lanes::new(!stores.is_shared);
        let store = stores.conversations.clone();
        let inner = Inner { store, directory, events, presence, delivery, typing, clock, tasks, lanes, published };
        let log = Self(Arc::new(inner));
        if stores.is_shared {
            let watched = log.clone();
            log.0.tasks.keep_running("doubts", move || watched.clone().watch_doubts());
        }
        log
    }
}

/// What the log is built from, besides a store.
pub(super) struct LogParts {
    pub(super) directory: Arc<Directory>,
    pub(super) events: Arc<EventBuilder>,
    pub(super) presence: Arc<Presence>,
    pub(super) delivery: Delivery,
    pub(super) typing: Typing,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
}
