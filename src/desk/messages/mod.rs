//! Messages: the verbs that add something to a conversation.
//!
//! Each one checks permissions and rates, prepares a change, and passes it to the [log](super::log).
//!
//! Reading order: [`send_message`], [`edit_message`], [`mark_read`], [`own_marks`], [`change_status`].

use std::sync::Arc;

use super::DeskSettings;
use super::delivery::Delivery;
use super::directory::Directory;
use super::log::Log;
use super::tasks::Tasks;
use crate::domain::{Clock, Person, UserId};
use crate::limits::RateLimited;
use crate::store::ConversationStore;

mod change_status;
mod edit_message;
mod mark_read;
mod own_marks;
mod send_message;
mod send_rate;

pub use super::log::Sent;
pub use change_status::ChangeStatusError;
pub use edit_message::{ReviseError, Revised};
pub use mark_read::{MarkRead, MarkReadError};
pub(super) use own_marks::LaterMarks;
use own_marks::OwnMarks;
pub use send_message::{Addressee, SendMessage, SendMessageError};
use send_rate::SendRate;

/// Messages a second of somebody without an account, unless the settings allow fewer: anybody can be one, any number of times.
const VISITOR_RATE: u32 = 5;

/// Sends, edits and marks messages. Clones share one state.
#[derive(Clone)]
pub struct Messages(Arc<Inner>);

struct Inner {
    store: Arc<dyn ConversationStore>,
    directory: Arc<Directory>,
    delivery: Delivery,
    log: Log,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    max_chars: usize,
    rate: SendRate,
    visitor_rate: SendRate,
    mark_rate: SendRate,
    own_marks: OwnMarks,
}

impl Messages {
    pub(super) fn new(
        store: Arc<dyn ConversationStore>,
        directory: Arc<Directory>,
        delivery: Delivery,
        log: Log,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        settings: &DeskSettings,
    ) -> Self {
        let rate = settings.send_rate;
        Self(Arc::new(Inner {
            store,
            directory,
            delivery,
            log,
            clock,
            tasks,
            max_chars: settings.max_message_chars,
            rate: SendRate::new(rate),
            visitor_rate: SendRate::new(rate.map(|rate| rate.min(VISITOR_RATE))),
            mark_rate: SendRate::new(rate),
            own_marks: OwnMarks::default(),
        }))
    }

    /// Counts a message, an edit or, without a text, a deletion towards the rate of its author. Visitors without an account have a
    /// rate of their own.
    fn count_text(&self, author: &Person, text: &str) -> Result<(), RateLimited> {
        let rate = if author.email.is_empty() { &self.0.visitor_rate } else { &self.0.rate };
        rate.take_text(author.id, text)
    }

    /// Waits until no read mark of this person is under way. `None` if they never made one.
    pub(super) async fn settled_marks(&self, reader: UserId) -> Option<LaterMarks> {
        self.0.own_marks.settled(reader).await
    }
}
