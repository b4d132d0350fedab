//! Checks whether a fetched page omits older unread or undelivered messages.

use super::History;
use crate::domain::{Conversation, Entry, Person, Side, Summary};
use crate::store::StoreError;

/// A fetched page.
pub(super) struct Fetched<'a> {
    /// Its messages, oldest first.
    pub(super) messages: &'a [Entry],
    pub(super) end: PageEnd,
}

#[derive(Clone, Copy)]
pub(super) struct PageEnd {
    /// Whether it begins with the first message of the conversation.
    pub(super) is_all: bool,
    /// Whether the client set a limit. Without one, the client treats the page as the whole history.
    pub(super) is_limited: bool,
    /// Whether it ends with the newest message.
    pub(super) is_newest: bool,
}

impl Fetched<'_> {
    /// Whether the page contains every message that this side has not read.
    pub(super) fn covers_unread(&self, summary: &Summary, side: Side) -> bool {
        let state = summary.side(side);
        let covered = self.messages.iter().filter(|entry| entry.side != side && entry.seq > state.read).count();
        !self.end.is_limited || self.end.is_all || covered as u64 >= state.unread
    }
}

impl History {
    /// Whether the page contains every message that was not yet delivered to this person.
    pub(super) async fn covers_undelivered(
        &self,
        person: &Person,
        conversation: Conversation,
        fetched: &Fetched<'_>,
    ) -> Result<bool, StoreError> {
        let Some(first) = fetched.messages.first().map(|entry| entry.seq) else { return Ok(false) };
        if !fetched.end.is_limited || fetched.end.is_all {
            return Ok(true);
        }
        let delivered = self.0.delivery.sent_up_to(person.id, conversation.id).await?.unwrap_or_default();
        if first <= delivered.next() {
            return Ok(true);
        }
        let before = self.0.store.messages_before(conversation.id, Some(first), 1).await?;
        Ok(before.last().is_none_or(|left_out| left_out.seq <= delivered))
    }
}
