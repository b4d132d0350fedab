//! History: reads the messages of a conversation.
//!
//! [`History::read`] is the one way to read messages. What it counts as depends on the [`Reader`]: as nothing, as received, or as
//! received and read.
//!
//! Reading order: [`read`], [`page`], [`messages`], [`annotate`].

use std::sync::Arc;

use super::delivery::Delivery;
use super::directory::Directory;
use super::event_builder::EventBuilder;
use super::messages::Messages;
use crate::store::ConversationStore;

mod annotate;
mod messages;
mod page;
mod read;

pub use annotate::AnnotatedMessages;
pub use read::{MessagePage, Range, Reader};

/// Reads messages. Clones share one state.
#[derive(Clone)]
pub struct History(Arc<Inner>);

struct Inner {
    store: Arc<dyn ConversationStore>,
    directory: Arc<Directory>,
    events: Arc<EventBuilder>,
    delivery: Delivery,
    messages: Messages,
    /// The most messages of a page.
    page_size: usize,
}

impl History {
    pub(super) fn new(
        store: Arc<dyn ConversationStore>,
        directory: Arc<Directory>,
        events: Arc<EventBuilder>,
        delivery: Delivery,
        messages: Messages,
        page_size: usize,
    ) -> Self {
        Self(Arc::new(Inner { store, directory, events, delivery, messages, page_size }))
    }
}
