//! Returns every entry beyond a seq that the client names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Delivery;
use super::receipts::ConversationReceipts;
use crate::desk::directory::list_for;
use crate::domain::{Conversation, ConversationId, EntryEvent, Person, Seq, Summary};
use crate::store::StoreError;

/// The most conversations that one request may name.
pub(super) const CONVERSATIONS: usize = 100;

/// The most entries of one conversation in one response.
pub(super) const PAGE: usize = 200;

/// Approximate size of a response, in bytes. When it is used up, the remaining conversations have to be requested again.
const BYTES: usize = 512 << 10;

/// Approximate size of an entry without its text, in bytes.
const BESIDE_THE_TEXT: usize = 256;

/// One conversation, from where the client left off.
#[derive(Debug)]
pub struct Resumed {
    /// The entries beyond, oldest first.
    pub entries: Vec<EntryEvent>,
    /// The newest entry there is.
    pub last_seq: Seq,
    /// The receipts as they were before.
    pub receipts: ConversationReceipts,
    /// Whether there are more than these: ask again from the last one.
    pub has_more: bool,
    /// The client named a seq that does not exist: it must discard what it has, and start at zero.
    pub must_resync: bool,
}

/// Why a request to resume was refused.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// More conversations were named than one request may.
    #[error("at most {CONVERSATIONS} conversations can be resumed in one request")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Delivery {
    /// Returns what `person` has missed in each conversation that they name; `None` for one that they may not see.
    ///
    /// Customers get all their conversations: those that they do not name, from the beginning.
    ///
    /// # Errors
    /// [`ResumeError`] if it is refused, or the store fails.
    #[tracing::instrument(level = "debug", name = "desk.resume", skip_all, fields(user.id = %person.id, conversations = from.len()))]
    pub async fn resume(
        &self,
        person: &Arc<Person>,
        mut from: BTreeMap<ConversationId, Seq>,
    ) -> Result<BTreeMap<ConversationId, Option<Resumed>>, ResumeError> {
        if from.len() > CONVERSATIONS {
            return Err(ResumeError::TooMany);
        }
        if !person.role.is_agent() {
            for summary in self.0.store.list(list_for(person), CONVERSATIONS).await? {
                from.entry(summary.conversation.id).or_default();
            }
        }
        let (mut resumed, mut room) = (BTreeMap::new(), BYTES);
        for (id, after) in from {
            let found = self.0.directory.conversation(id).await?;
            let theirs = found.filter(|found| found.members.side_of_person(person).is_some());
            let part = match theirs {
                Some(conversation) if self.0.directory.is_of_the_deleted(conversation).await? => None,
                Some(conversation) => Some(self.resume_one(person, conversation, after, &mut room).await?),
                None => None,
            };
            resumed.insert(id, part);
        }
        Ok(resumed)
    }

    async fn resume_one(
        &self,
        person: &Arc<Person>,
        conversation: Conversation,
        after: Seq,
        room: &mut usize,
    ) -> Result<Resumed, StoreError> {
        let summary = self.0.store.summary(conversation.id).await?;
        let summary = summary.unwrap_or_else(|| Summary::opened(conversation));
        let last_seq = summary.last_seq;
        let receipts = self.receipts_of(&summary).await?;
        if after > last_seq {
            return Ok(Resumed { entries: Vec::new(), last_seq, receipts, has_more: false, must_resync: true });
        }
        let mut entries = Vec::new();
        if after < last_seq && *room > 0 {
            let page = self.0.store.entries_after(conversation.id, after, PAGE).await?;
            entries = self.0.events.build(conversation, page).await?;
            fill(&mut entries, room);
        }
        let newest = entries.last().map_or(after, |event| event.entry.seq);
        self.0.cursors.advance(person.id, conversation.id, newest);
        if let Some(side) = conversation.members.side_of_person(person) {
            // It has received what it names, and requests what follows.
            self.0.receipts.received((conversation.id, side), newest);
        }
        let last_seq = last_seq.max(newest);
        Ok(Resumed { entries, last_seq, receipts, has_more: newest < last_seq, must_resync: false })
    }
}

/// Truncates the entries to those that there is room for; the last may exceed it.
fn fill(entries: &mut Vec<EntryEvent>, room: &mut usize) {
    let mut count = 0;
    while let Some(event) = entries.get(count).filter(|_| *room > 0) {
        *room = room.saturating_sub(BESIDE_THE_TEXT + event.text().map_or(0, str::len));
        count += 1;
    }
    entries.truncate(count);
}
