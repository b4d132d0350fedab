//! Reads one conversation, or all of them, without marking anything as read.

use std::collections::HashMap;
use std::sync::Arc;

use super::page::Newest;
use crate::desk::Desk;
use crate::desk::conversations::ConversationAccess;
use crate::desk::messages::MarkReadError;
use crate::domain::{ConversationId, Entry, EntryEvent, Members, Message, Person, Seq, Side, Summary, UserId};
use crate::store::{MessagePage, Profile, StoreError, SummaryPage};

/// A support conversation with its customer.
#[derive(Debug)]
pub struct Room {
    /// How matters stand.
    pub summary: Summary,
    /// Whose it is.
    pub customer: Arc<Person>,
    /// What is known of them besides.
    pub profile: Profile,
}

impl Desk {
    /// The newest messages of a conversation that somebody is in, oldest first. Counts as delivered to them if they showed who they are, not as read.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn room_log(&self, entered: &ConversationAccess, limit: usize) -> Result<Vec<EntryEvent>, StoreError> {
        let conversation = entered.summary.conversation;
        let is_limited = limit < self.0.settings.history_page;
        let limit = limit.min(self.0.settings.history_page);
        let messages = self.0.stores.conversations.messages_before(conversation.id, None, limit).await?;
        if let Some(last) = messages.last().filter(|_| entered.is_identified) {
            let newest = Newest::of(&messages, limit, is_limited);
            if self.shows_all_missed(&entered.person, conversation, &newest).await? {
                self.confirm(entered.person.id, conversation.id, last.seq);
            }
            self.note_fetched(entered, &messages, newest.is_all).await?;
        }
        self.show(conversation, messages).await
    }

    /// The newest messages before the one with this number; none if there is no such message in the conversation.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn room_log_before(
        &self,
        entered: &ConversationAccess,
        number: u64,
        limit: usize,
    ) -> Result<Vec<EntryEvent>, StoreError> {
        let conversation = entered.summary.conversation;
        let limit = limit.min(self.0.settings.history_page);
        // Also from one that was deleted meanwhile, where a client has got to.
        let from = self.entry_by_number(number).await?.filter(|entry| entry.conversation == conversation.id);
        let messages = match from {
            Some(entry) => self.0.stores.conversations.messages_before(conversation.id, Some(entry.seq), limit).await?,
            None => Vec::new(),
        };
        self.show(conversation, messages).await
    }

    /// The messages beyond the first `skip`, oldest first, and how many there are in all. Counts as
    /// delivered if they showed who they are, not as read.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn room_page(
        &self,
        entered: &ConversationAccess,
        skip: u64,
        limit: usize,
    ) -> Result<(Vec<EntryEvent>, u64), StoreError> {
        let conversation = entered.summary.conversation;
        let MessagePage { messages, total } =
            self.0.stores.conversations.messages_from(conversation.id, skip, limit).await?;
        if let Some(last) = messages.last().filter(|_| entered.is_identified) {
            let newest = Newest { messages: &messages, is_all: skip == 0, is_limited: true };
            let is_newest = skip + messages.len() as u64 == total;
            if is_newest && self.shows_all_missed(&entered.person, conversation, &newest).await? {
                self.confirm(entered.person.id, conversation.id, last.seq);
            }
            self.note_fetched(entered, &messages, skip == 0).await?;
        }
        Ok((self.show(conversation, messages).await?, total))
    }

    /// The client of whoever is in has taken these messages: all from the first one on if `from_first`.
    async fn note_fetched(
        &self,
        entered: &ConversationAccess,
        messages: &[Entry],
        from_first: bool,
    ) -> Result<(), StoreError> {
        let reaches = self.reaches(&entered.summary).await?;
        self.note_taken(entered.side, messages, from_first, &reaches);
        Ok(())
    }

    /// The newest messages of a conversation, oldest first. Nothing of it counts as delivered: nobody knows to whom.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn newest_messages(&self, summary: &Summary, limit: usize) -> Result<Vec<EntryEvent>, StoreError> {
        let limit = limit.min(self.0.settings.history_page);
        let messages = self.0.stores.conversations.messages_before(summary.conversation.id, None, limit).await?;
        self.show(summary.conversation, messages).await
    }

    /// What the other side said and whoever is in has not read, oldest first, of the newest messages alone. Nothing of it
    /// counts as delivered: it is for those who ask over and over whether there is something.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn unread_messages(&self, entered: &ConversationAccess) -> Result<Vec<EntryEvent>, StoreError> {
        let (conversation, state) = (entered.summary.conversation, entered.summary.side(entered.side));
        if state.unread == 0 {
            return Ok(Vec::new());
        }
        let limit = self.0.settings.history_page;
        let mut messages = self.0.stores.conversations.messages_before(conversation.id, None, limit).await?;
        messages.retain(|entry| entry.side != entered.side && entry.seq > state.read);
        self.show(conversation, messages).await
    }

    async fn entry_by_number(&self, number: u64) -> Result<Option<Entry>, StoreError> {
        Ok(self.0.stores.conversations.messages_by_number(&[number]).await?.pop())
    }

    /// The message with this number, if it is of this conversation and still there.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn message(&self, id: ConversationId, number: u64) -> Result<Option<EntryEvent>, StoreError> {
        let found = self.entry_by_number(number).await?;
        let Some(entry) = found.filter(|entry| entry.conversation == id) else { return Ok(None) };
        let Some(conversation) = self.0.directory.conversation(id).await? else { return Ok(None) };
        Ok(self.show(conversation, vec![entry]).await?.pop().filter(EntryEvent::is_message))
    }

    /// In which conversation the message with this number is.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn conversation_of_message(&self, number: u64) -> Result<Option<u64>, StoreError> {
        let Some(entry) = self.entry_by_number(number).await? else { return Ok(None) };
        Ok(self.0.directory.conversation(entry.conversation).await?.map(|conversation| conversation.number))
    }

    /// The newest message of a side up to an entry: the one that a read mark there is about.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn newest_of_side(
        &self,
        id: ConversationId,
        side: Side,
        up_to: Seq,
    ) -> Result<Option<Message>, StoreError> {
        const LOOKED_AT: usize = 100;
        let entries = self.0.stores.conversations.messages_before(id, Some(up_to.next()), LOOKED_AT).await?;
        let newest = entries.into_iter().rev().find(|entry| entry.side == side);
        Ok(newest.and_then(|entry| entry.message().cloned()))
    }

    /// Marks everything in a conversation as read by the side of whoever is in; gives how many messages that were.
    ///
    /// # Errors
    /// [`MarkReadError`] says why not.
    pub async fn mark_room_read(&self, entered: &ConversationAccess) -> Result<u64, MarkReadError> {
        let conversation = entered.summary.conversation;
        let summary = self.summary(conversation.id).await?.ok_or(MarkReadError::NotFound)?;
        self.keep_read(&entered.person, conversation, summary.last_seq, None).await?;
        Ok(summary.side(entered.side).unread)
    }

    /// All support conversations with their customers, the one that changed last first; and how many there are. Those of deleted
    /// accounts are counted, so that pages fit together, and left out.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn rooms(&self, skip: u64, limit: usize) -> Result<(Vec<Room>, u64), StoreError> {
        let SummaryPage { summaries, total } = self.0.stores.conversations.support(skip, limit).await?;
        let customers: Vec<UserId> = summaries.iter().filter_map(customer).collect();
        self.0.directory.look_up(customers.iter().copied()).await?;
        let mut profiles: HashMap<UserId, Profile> = HashMap::new();
        if !customers.is_empty() {
            let found = self.0.stores.profiles.profiles(&customers).await?;
            profiles.extend(found.into_iter().map(|profile| (profile.user, profile)));
        }
        let mut rooms = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let Some(id) = customer(&summary) else { continue };
            let Some(customer) = self.0.directory.person(id).await? else { continue };
            let profile = profiles.remove(&id).unwrap_or_else(|| Profile::empty(id));
            rooms.push(Room { summary, customer, profile });
        }
        Ok((rooms, total))
    }

    /// One conversation with its customer.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn room(&self, entered: &ConversationAccess) -> Result<Room, StoreError> {
        let (id, conversation) = (entered.customer.id, entered.summary.conversation.id);
        let profile = self.0.stores.profiles.profiles(&[id]).await?.into_iter().next();
        let summary = self.summary(conversation).await?.unwrap_or_else(|| entered.summary.clone());
        let customer = self.0.directory.person_or_deleted(id).await?;
        Ok(Room { summary, customer, profile: profile.unwrap_or_else(|| Profile::empty(id)) })
    }
}

const fn customer(summary: &Summary) -> Option<UserId> {
    match summary.conversation.members {
        Members::Support { customer } => Some(customer),
        Members::Direct { .. } => None,
    }
}
