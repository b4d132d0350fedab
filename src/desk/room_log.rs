//! To look at one conversation as a whole, and at all of them, without marking anything as read.

use std::collections::HashMap;
use std::sync::Arc;

use super::Desk;
use super::enter::Entered;
use super::mark_read::MarkReadError;
use crate::domain::{
    Conversation, ConversationId, Entry, EntryKind, EntryTold, Members, Message, MessageExtras, Person, Seq, Side,
    Summary, Timestamp, UserId,
};
use crate::store::{MAX_PAGE, MessagePage, Profile, StoreError, SummaryPage};

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

/// Messages of a conversation, and what was read of them when.
#[derive(Debug)]
pub struct RoomLog {
    /// Messages, oldest first.
    pub messages: Vec<EntryTold>,
    /// Read marks, oldest first.
    pub reads: Vec<ReadAt>,
    /// The messages that these answer, by number.
    pub answered: HashMap<u64, EntryTold>,
}

impl RoomLog {
    /// When the other side read this message; `None` if it has not, or long ago.
    #[must_use]
    pub fn read_at(&self, told: &EntryTold) -> Option<Timestamp> {
        let reader = told.entry.side.other();
        let mark = self.reads.iter().find(|read| read.side == reader && read.up_to >= told.entry.seq);
        mark.map(|read| read.at)
    }
}

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
    /// The newest messages of a conversation that somebody is in. Counts as delivered to them, not as read.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn room_log(&self, entered: &Entered, limit: usize) -> Result<RoomLog, StoreError> {
        let conversation = entered.summary.conversation;
        let limit = limit.min(self.0.settings.history_page);
        let messages = self.0.stores.conversations.messages_before(conversation.id, None, limit).await?;
        if let Some(newest) = messages.last() {
            self.0.deliveries.mark(entered.person.id, conversation.id, newest.seq);
            let reaches = self.reaches(&entered.summary).await?;
            self.note_taken(entered.side, &messages, messages.len() < limit, &reaches);
        }
        self.shown_log(conversation, messages).await
    }

    /// The newest messages before the one with this number; none if there is no such message in the conversation.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn room_log_before(&self, entered: &Entered, number: u64, limit: usize) -> Result<RoomLog, StoreError> {
        let conversation = entered.summary.conversation;
        let limit = limit.min(self.0.settings.history_page);
        let conversations = &self.0.stores.conversations;
        // Also from one that was deleted meanwhile, where a client has got to.
        let from = conversations.message_by_number(number).await?.filter(|entry| entry.conversation == conversation.id);
        let messages = match from {
            Some(entry) => conversations.messages_before(conversation.id, Some(entry.seq), limit).await?,
            None => Vec::new(),
        };
        self.shown_log(conversation, messages).await
    }

    /// The messages beyond the first `skip`, oldest first, and how many there are in all. Counts as delivered if the newest is
    /// among them.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn room_page(&self, entered: &Entered, skip: u64, limit: usize) -> Result<(RoomLog, u64), StoreError> {
        let conversation = entered.summary.conversation;
        let MessagePage { messages, total } =
            self.0.stores.conversations.messages_from(conversation.id, skip, limit).await?;
        if let Some(last) = messages.last()
            && skip + messages.len() as u64 == total
        {
            self.0.deliveries.mark(entered.person.id, conversation.id, last.seq);
        }
        Ok((self.shown_log(conversation, messages).await?, total))
    }

    async fn shown_log(&self, conversation: Conversation, messages: Vec<Entry>) -> Result<RoomLog, StoreError> {
        let first = messages.first().map_or(Seq::ZERO, |first| first.seq.previous());
        let entries = self.0.stores.conversations.entries_after(conversation.id, first, MAX_PAGE).await?;
        let reads = entries.iter().filter_map(|entry| match entry.kind {
            EntryKind::Read { up_to } => Some(ReadAt { side: entry.side, up_to, at: entry.at }),
            EntryKind::Message(_)
            | EntryKind::StatusChanged { .. }
            | EntryKind::Edited { .. }
            | EntryKind::Deleted { .. } => None,
        });
        let reads = reads.collect();
        let messages = self.show(conversation, messages).await?;
        let mut answered = HashMap::new();
        for number in messages.iter().filter_map(|told| told.extras.reply_to) {
            if let Some(told) = self.message(conversation.id, number).await? {
                answered.insert(number, told);
            }
        }
        Ok(RoomLog { messages, reads, answered })
    }

    /// The message with this number, if it is of this conversation and still there.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn message(&self, id: ConversationId, number: u64) -> Result<Option<EntryTold>, StoreError> {
        let found = self.0.stores.conversations.message_by_number(number).await?;
        let Some(entry) = found.filter(|entry| entry.conversation == id) else { return Ok(None) };
        let Some(conversation) = self.0.directory.conversation(id).await? else { return Ok(None) };
        Ok(self.show(conversation, vec![entry]).await?.pop().filter(EntryTold::is_message))
    }

    /// In which conversation the message with this number is.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn conversation_of_message(&self, number: u64) -> Result<Option<u64>, StoreError> {
        let Some(entry) = self.0.stores.conversations.message_by_number(number).await? else { return Ok(None) };
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
    pub async fn mark_room_read(&self, entered: &Entered) -> Result<u64, MarkReadError> {
        let conversation = entered.summary.conversation;
        let summary = self.summary(conversation.id).await?.ok_or(MarkReadError::NotFound)?;
        self.keep_read(&entered.person, conversation, summary.last_seq, None).await?;
        Ok(summary.side(entered.side).unread)
    }

    /// All support conversations with their customers, the one that changed last first; and how many there are.
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
            let customer = self.0.directory.person_or_deleted(id).await?;
            let profile = profiles.remove(&id).unwrap_or_else(|| Profile::empty(id));
            rooms.push(Room { summary, customer, profile });
        }
        Ok((rooms, total))
    }

    /// One conversation with its customer.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn room(&self, entered: &Entered) -> Result<Room, StoreError> {
        let (id, conversation) = (entered.customer.id, entered.summary.conversation.id);
        let profile = self.0.stores.profiles.profiles(&[id]).await?.into_iter().next();
        let summary = self.summary(conversation).await?.unwrap_or_else(|| entered.summary.clone());
        let customer = self.0.directory.person_or_deleted(id).await?;
        Ok(Room { summary, customer, profile: profile.unwrap_or_else(|| Profile::empty(id)) })
    }

    /// What goes with a message, before it is sent: that it answers another of the same conversation.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn answer_to(&self, id: ConversationId, number: u64) -> Result<Option<MessageExtras>, StoreError> {
        let known = self.message(id, number).await?.is_some();
        Ok(known.then_some(MessageExtras { reply_to: Some(number), attachment: None }))
    }
}

const fn customer(summary: &Summary) -> Option<UserId> {
    match summary.conversation.members {
        Members::Support { customer } => Some(customer),
        Members::Direct { .. } => None,
    }
}
