//! Adds to messages when they were read and what they reply to, for dialects that show this.

use std::collections::{HashMap, HashSet};

use super::History;
use crate::desk::conversations::ConversationAccess;
use crate::domain::{Conversation, Entry, EntryEvent, EntryKind, Seq, Side, Summary, Timestamp};
use crate::store::{MAX_PAGE, StoreError};

/// A read mark, as far as a message needs it.
#[derive(Debug, Clone, Copy)]
pub struct ReadAt {
    /// Which side has read.
    pub side: Side,
    /// Up to where.
    pub up_to: Seq,
    /// When.
    pub at: Timestamp,
}

/// Messages of a conversation, and when they were read.
#[derive(Debug)]
pub struct AnnotatedMessages {
    /// Messages, oldest first.
    pub messages: Vec<EntryEvent>,
    /// Read marks, oldest first.
    pub reads: Vec<ReadAt>,
    /// The messages that these answer, by number.
    pub answered: HashMap<u64, EntryEvent>,
}

impl AnnotatedMessages {
    /// When the other side read this message; `None` if it has not, or long ago.
    #[must_use]
    pub fn read_at(&self, event: &EntryEvent) -> Option<Timestamp> {
        let reader = event.entry.side.other();
        let mark = self.reads.iter().find(|read| read.side == reader && read.up_to >= event.entry.seq);
        mark.map(|read| read.at)
    }
}

impl History {
    /// Looks up when these messages were read, and what they answer. Nothing counts as received.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn annotate(
        &self,
        access: &ConversationAccess,
        messages: Vec<EntryEvent>,
    ) -> Result<AnnotatedMessages, StoreError> {
        let reads = self.reads_of(&access.summary, &messages).await?;
        let answered = self.answered_by(access.summary.conversation, &messages).await?;
        Ok(AnnotatedMessages { messages, reads, answered })
    }

    /// The read marks after the first of these messages, until each that was read is covered.
    async fn reads_of(&self, summary: &Summary, messages: &[EntryEvent]) -> Result<Vec<ReadAt>, StoreError> {
        // The newest message that each side has read of the other's.
        let mut to_cover = [Side::Customer, Side::Desk].map(|reader| {
            let (by, read) = (reader.other(), summary.side(reader).read);
            let newest = messages.iter().rev().map(|event| &event.entry);
            newest.filter(|entry| entry.side == by && entry.seq <= read).map(|entry| entry.seq).next()
        });
        let mut reads = Vec::new();
        let Some(mut after) = messages.first().map(|event| event.entry.seq) else { return Ok(reads) };
        while to_cover.iter().any(Option::is_some) {
            let page = self.0.store.entries_after(summary.conversation.id, after, MAX_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            for Entry { side, at, kind, .. } in page {
                if let EntryKind::Read { up_to } = kind {
                    reads.push(ReadAt { side, up_to, at });
                    to_cover[side.index()] = to_cover[side.index()].filter(|seq| *seq > up_to);
                }
            }
        }
        Ok(reads)
    }

    /// The messages that these answer, by number, except deleted ones.
    async fn answered_by(
        &self,
        conversation: Conversation,
        messages: &[EntryEvent],
    ) -> Result<HashMap<u64, EntryEvent>, StoreError> {
        let mut wanted: HashSet<u64> = messages.iter().filter_map(|event| event.entry.message()?.reply_to()).collect();
        let mut answered = HashMap::new();
        for event in messages {
            if let Some(number) = event.entry.message().map(|message| message.number)
                && wanted.remove(&number)
            {
                answered.insert(number, event.clone());
            }
        }
        if !wanted.is_empty() {
            let numbers: Vec<u64> = wanted.into_iter().collect();
            let mut found = self.0.store.messages_by_number(&numbers).await?;
            found.retain(|entry| entry.conversation == conversation.id);
            for event in self.0.events.build(conversation, found).await?.into_iter().filter(EntryEvent::is_message) {
                answered.extend(event.entry.message().map(|message| message.number).map(|number| (number, event)));
            }
        }
        Ok(answered)
    }
}
