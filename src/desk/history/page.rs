//! What a page of the history counts as: read or delivered only as far as it shows.
//!
//! A cursor is a single place in a conversation, so a page moves it only if no message between the cursor and the page is left out.

use crate::desk::Desk;
use crate::domain::{Conversation, Entry, Person, Side, Summary};
use crate::store::{StoreError, is_last_page};

/// The newest messages of a conversation, oldest first, as somebody asked for them.
pub(in crate::desk) struct Newest<'a> {
    /// The messages.
    pub(in crate::desk) messages: &'a [Entry],
    /// Whether these are all that there are.
    pub(in crate::desk) is_all: bool,
    /// Whether the client named a limit itself. One that did not takes whatever it is given for everything.
    pub(in crate::desk) is_limited: bool,
}

impl<'a> Newest<'a> {
    /// What the store gave for this limit.
    pub(in crate::desk) fn of(messages: &'a [Entry], limit: usize, is_limited: bool) -> Self {
        let is_all = is_last_page(messages, limit);
        Self { messages, is_all, is_limited }
    }

    /// Whether everything is shown that this side has not read.
    pub(in crate::desk) fn shows_all_unread(&self, summary: &Summary, side: Side) -> bool {
        let state = summary.side(side);
        let shown = self.messages.iter().filter(|entry| entry.side != side && entry.seq > state.read).count();
        !self.is_limited || self.is_all || shown as u64 >= state.unread
    }
}

impl Desk {
    /// Whether everything is shown that was not delivered to this person before.
    pub(in crate::desk) async fn shows_all_missed(
        &self,
        person: &Person,
        conversation: Conversation,
        newest: &Newest<'_>,
    ) -> Result<bool, StoreError> {
        let Some(first) = newest.messages.first().map(|entry| entry.seq) else { return Ok(false) };
        if !newest.is_limited || newest.is_all {
            return Ok(true);
        }
        let delivered = self.delivered(person.id, conversation.id).await?.unwrap_or_default();
        if first <= delivered.next() {
            return Ok(true);
        }
        let before = self.0.stores.conversations.messages_before(conversation.id, Some(first), 1).await?;
        Ok(before.last().is_none_or(|left_out| left_out.seq <= delivered))
    }
}
