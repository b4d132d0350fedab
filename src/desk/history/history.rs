//! Reads the history of a conversation, and marks it as read.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::sync::Arc;

use super::page::Newest;
use crate::desk::Desk;
use crate::desk::delivery::Reaches;
use crate::desk::messages::MarkReadError;
use crate::domain::{
    Conversation, ConversationId, Entry, EntryEvent, Message, MessageId, MessageStatus, Parties, Person, Seq, Summary,
    UserId,
};
use crate::store::StoreError;

/// A part of a conversation, as one of its members reads it.
#[derive(Debug)]
pub struct History {
    /// Messages, oldest first.
    pub messages: Vec<EntryEvent>,
    /// How far each side had come before this reading.
    pub reaches: Reaches,
}

impl History {
    /// How far this message had come before this reading.
    #[must_use]
    pub fn status_of(&self, told: &EntryEvent) -> Option<MessageStatus> {
        self.reaches.status_of(told)
    }
}

impl Desk {
    /// The newest messages between `reader` and a person, before `before` if given; empty if they never talked.
    ///
    /// A reading counts as a delivery, and marks what it gave as read; if it is limited, only as far as it leaves nothing out.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn history_with(
        &self,
        reader: &Arc<Person>,
        user: UserId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<History, StoreError> {
        let empty = History { messages: Vec::new(), reaches: Reaches::default() };
        // What somebody has said who was deleted is shown to nobody.
        let Some(members) = self.0.directory.members_with(reader, user).await? else { return Ok(empty) };
        let Some(conversation) = self.0.directory.find(members).await? else { return Ok(empty) };
        let Some(summary) = self.0.stores.conversations.summary(conversation.id).await? else { return Ok(empty) };
        let is_limited = limit < self.0.settings.history_page;
        let limit = limit.min(self.0.settings.history_page);
        let entries = self.0.stores.conversations.messages_before(conversation.id, before, limit).await?;
        let reaches = self.reaches(&summary).await?;
        if before.is_none() {
            let newest = Newest::of(&entries, limit, is_limited);
            self.note_reading(reader, &summary, &newest, &reaches).await?;
        }
        Ok(History { messages: self.show(conversation, entries).await?, reaches })
    }

    /// Entries of several conversations with all that is needed to show them, in the same order.
    pub(in crate::desk) async fn show_all(
        &self,
        entries: impl Iterator<Item = Entry>,
    ) -> Result<Vec<EntryEvent>, StoreError> {
        let mut by_conversation: HashMap<ConversationId, Vec<(usize, Entry)>> = HashMap::new();
        for (index, entry) in entries.enumerate() {
            by_conversation.entry(entry.conversation).or_default().push((index, entry));
        }
        let mut shown = Vec::new();
        for (id, numbered) in by_conversation {
            let Some(conversation) = self.0.directory.conversation(id).await? else { continue };
            let (indexes, entries): (Vec<usize>, Vec<Entry>) = numbered.into_iter().unzip();
            shown.extend(indexes.into_iter().zip(self.show(conversation, entries).await?));
        }
        shown.sort_unstable_by_key(|(index, _)| *index);
        Ok(shown.into_iter().map(|(_, told)| told).collect())
    }

    /// Counts a reading of the newest messages.
    async fn note_reading(
        &self,
        reader: &Arc<Person>,
        summary: &Summary,
        newest: &Newest<'_>,
        reaches: &Reaches,
    ) -> Result<(), StoreError> {
        let conversation = summary.conversation;
        let Some(last) = newest.messages.last().map(|entry| entry.seq) else { return Ok(()) };
        let Some(side) = conversation.members.side_of(reader.id, reader.role.is_agent()) else { return Ok(()) };
        self.note_taken(side, newest.messages, newest.is_all, reaches);
        if self.shows_all_missed(reader, conversation, newest).await? {
            self.confirm(reader.id, conversation.id, last);
        }
        if !newest.shows_all_unread(summary, side) {
            return Ok(());
        }
        let mark = match self.read_mark(reader, conversation, last, None).await {
            Ok(mark) => mark,
            Err(MarkReadError::NotFound | MarkReadError::NotKept(_)) => return Ok(()),
            Err(MarkReadError::Store(error)) => return Err(error),
        };
        let under_way = self.0.own_marks.begin(reader, conversation.id);
        let kept = self.append(mark);
        // Nobody waits for it but the reader's next list; a failure is logged where it happens.
        self.0.tasks.spawn(async move {
            drop(kept.await);
            drop(under_way);
        });
        Ok(())
    }

    /// Entries with all that is needed to show them.
    pub(in crate::desk) async fn show(
        &self,
        conversation: Conversation,
        entries: Vec<Entry>,
    ) -> Result<Vec<EntryEvent>, StoreError> {
        let parties: Parties = self.0.directory.parties(conversation).await?;
        let mut authors: HashMap<UserId, Arc<Person>> = HashMap::new();
        let targets: Vec<Seq> = entries.iter().filter_map(|entry| Some(entry.target()?.seq)).collect();
        let mut about: HashMap<MessageId, Message> = HashMap::new();
        if !targets.is_empty() {
            let found = self.0.stores.conversations.entries_at(conversation.id, &targets).await?;
            about.extend(found.iter().filter_map(Entry::message).map(|message| (message.id, message.clone())));
        }
        self.0.directory.look_up(entries.iter().map(|entry| entry.author)).await?;
        let mut shown = Vec::with_capacity(entries.len());
        for entry in entries {
            let author = match authors.entry(entry.author) {
                Occupied(known) => known.get().clone(),
                Vacant(place) => place.insert(self.0.directory.person_or_deleted(entry.author).await?).clone(),
            };
            let about = entry.target().and_then(|target| about.get(&target.id).cloned());
            let message = entry.message().or(about.as_ref());
            let attachment_path = message.and_then(|message| self.attachment_path(message));
            let parties = parties.clone();
            shown.push(EntryEvent { parties, entry, author, origin: None, attachment_path, about });
        }
        Ok(shown)
    }
}
