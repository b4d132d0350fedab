//! Builds [`EntryEvent`]s: stored entries with the people, files and earlier messages that they refer to.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::sync::Arc;

use super::directory::Directory;
use crate::accounts::Accounts;
use crate::domain::{
    Conversation, ConversationId, Entry, EntryEvent, Message, MessageId, Parties, Person, Seq, UserId,
};
use crate::store::{ConversationStore, StoreError};

pub(super) struct EventBuilder {
    store: Arc<dyn ConversationStore>,
    directory: Arc<Directory>,
    accounts: Arc<Accounts>,
}

impl EventBuilder {
    pub(super) fn new(store: Arc<dyn ConversationStore>, directory: Arc<Directory>, accounts: Arc<Accounts>) -> Self {
        Self { store, directory, accounts }
    }

    /// Entries of one conversation, in the same order.
    pub(super) async fn build(
        &self,
        conversation: Conversation,
        entries: Vec<Entry>,
    ) -> Result<Vec<EntryEvent>, StoreError> {
        let parties: Parties = self.directory.parties(conversation).await?;
        let mut authors: HashMap<UserId, Arc<Person>> = HashMap::new();
        let targets: Vec<Seq> = entries.iter().filter_map(|entry| Some(entry.target()?.seq)).collect();
        let mut about: HashMap<MessageId, Message> = HashMap::new();
        if !targets.is_empty() {
            let found = self.store.entries_at(conversation.id, &targets).await?;
            about.extend(found.iter().filter_map(Entry::message).map(|message| (message.id, message.clone())));
        }
        self.directory.look_up(entries.iter().map(|entry| entry.author)).await?;
        let mut events = Vec::with_capacity(entries.len());
        for entry in entries {
            let author = match authors.entry(entry.author) {
                Occupied(known) => known.get().clone(),
                Vacant(place) => place.insert(self.directory.person_or_deleted(entry.author).await?).clone(),
            };
            let about = entry.target().and_then(|target| about.get(&target.id).cloned());
            let attachment_path = entry.message().or(about.as_ref()).and_then(|message| self.attachment_path(message));
            let parties = parties.clone();
            events.push(EntryEvent { parties, entry, author, origin: None, attachment_path, about });
        }
        Ok(events)
    }

    /// Entries of several conversations, in the same order.
    pub(super) async fn build_all(&self, entries: impl Iterator<Item = Entry>) -> Result<Vec<EntryEvent>, StoreError> {
        let mut by_conversation: HashMap<ConversationId, Vec<(usize, Entry)>> = HashMap::new();
        for (index, entry) in entries.enumerate() {
            by_conversation.entry(entry.conversation).or_default().push((index, entry));
        }
        let mut events = Vec::new();
        for (id, numbered) in by_conversation {
            let Some(conversation) = self.directory.conversation(id).await? else { continue };
            let (indexes, entries): (Vec<usize>, Vec<Entry>) = numbered.into_iter().unzip();
            events.extend(indexes.into_iter().zip(self.build(conversation, entries).await?));
        }
        events.sort_unstable_by_key(|(index, _)| *index);
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }

    /// A path at which the file of a message can be fetched for a limited time, if it has one.
    pub(super) fn attachment_path(&self, message: &Message) -> Option<String> {
        Some(self.accounts.file_path(message.id, &message.attachment()?.name))
    }
}
