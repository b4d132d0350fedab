//! Reads a page of messages.

use std::sync::Arc;

use super::History;
use super::page::{Fetched, PageEnd};
use crate::desk::conversations::ConversationAccess;
use crate::desk::delivery::ConversationReceipts;
use crate::domain::{Entry, EntryEvent, MessageStatus, Person, Seq, Side, Summary, UserId};
use crate::store::{self, StoreError, is_last_page};

/// Who reads, which decides whether messages count as received or read.
#[derive(Debug, Clone, Copy)]
pub enum Reader<'a> {
    /// Nobody: nothing counts as received.
    Nobody,
    /// What is read counts as received by this person.
    Receives(&'a Arc<Person>),
    /// What is read counts as received by this person, and as read by their side.
    Reads(&'a Arc<Person>),
}

impl<'a> Reader<'a> {
    /// A client that fetches the messages of a conversation: its person, if they showed who they are.
    #[must_use]
    pub fn of(access: &'a ConversationAccess) -> Self {
        if access.is_identified { Self::Receives(&access.person) } else { Self::Nobody }
    }

    const fn person(self) -> Option<&'a Arc<Person>> {
        match self {
            Self::Nobody => None,
            Self::Receives(person) | Self::Reads(person) => Some(person),
        }
    }
}

/// Which messages of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The newest.
    Newest,
    /// The newest before this place. Never counts as received.
    Before(Seq),
    /// The newest before the message with this number, deleted or not; none if it is not of this conversation. Never counts as
    /// received.
    BeforeMessage(u64),
    /// Those beyond the first `skip`, in the order of the log.
    Beyond {
        /// How many to skip.
        skip: u64,
    },
}

/// Messages of a conversation.
#[derive(Debug, Default)]
pub struct MessagePage {
    /// The messages, oldest first.
    pub messages: Vec<EntryEvent>,
    /// How many messages the conversation has; only for [`Range::Beyond`].
    pub total: u64,
    /// The receipts as they were before.
    pub receipts: ConversationReceipts,
}

impl MessagePage {
    /// The status of one of the messages before they were read.
    #[must_use]
    pub fn status_of(&self, event: &EntryEvent) -> Option<MessageStatus> {
        self.receipts.status_of(event)
    }
}

impl History {
    /// Reads at most `limit` messages of a conversation.
    ///
    /// A cursor and a read mark each name a single place, so a page that a client has limited moves them only if it leaves nothing
    /// out before it.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    #[tracing::instrument(level = "debug", name = "desk.read_history", skip_all, fields(
        user.id = reader.person().map(|person| tracing::field::display(person.id)), conversation.id = %summary.conversation.id,
        range = ?range, limit
    ))]
    pub async fn read(
        &self,
        summary: &Summary,
        reader: Reader<'_>,
        range: Range,
        limit: usize,
    ) -> Result<MessagePage, StoreError> {
        let (id, page_size) = (summary.conversation.id, self.0.page_size);
        let (is_limited, limit) = (limit < page_size, limit.min(page_size));
        let (messages, end, total) = match range {
            Range::Newest => {
                let messages = self.0.store.messages_before(id, None, limit).await?;
                let is_all = is_last_page(&messages, limit);
                (messages, Some(PageEnd { is_all, is_limited, is_newest: true }), 0)
            }
            Range::Before(seq) => (self.0.store.messages_before(id, Some(seq), limit).await?, None, 0),
            Range::BeforeMessage(number) => {
                let found = self.message_entry(number).await?.filter(|entry| entry.conversation == id);
                let messages = match found {
                    Some(entry) => self.0.store.messages_before(id, Some(entry.seq), limit).await?,
                    None => Vec::new(),
                };
                (messages, None, 0)
            }
            Range::Beyond { skip } => {
                let store::MessagePage { messages, total } = self.0.store.messages_from(id, skip, limit).await?;
                let is_newest = skip + messages.len() as u64 == total;
                (messages, Some(PageEnd { is_all: skip == 0, is_limited: true, is_newest }), total)
            }
        };
        let receipts = match (reader, end) {
            (Reader::Reads(_), _) | (Reader::Receives(_), Some(_)) => self.0.delivery.receipts_of(summary).await?,
            (Reader::Nobody | Reader::Receives(_), _) => ConversationReceipts::default(),
        };
        if let (Some(end), Some(person)) = (end, reader.person()) {
            let fetched = Fetched { messages: &messages, end };
            let marks_read = matches!(reader, Reader::Reads(_));
            self.note_fetched(summary, person, &fetched, &receipts, marks_read).await?;
        }
        Ok(MessagePage { messages: self.0.events.build(summary.conversation, messages).await?, total, receipts })
    }

    /// [`read`](Self::read) for a client that fetches the messages of a conversation to which it has access.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn fetch(
        &self,
        access: &ConversationAccess,
        range: Range,
        limit: usize,
    ) -> Result<MessagePage, StoreError> {
        self.read(&access.summary, Reader::of(access), range, limit).await
    }

    /// Reads the newest messages between `reader` and a person, before a place if given. Empty if they never talked.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn read_with(
        &self,
        reader: &Arc<Person>,
        user: UserId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<MessagePage, StoreError> {
        // Messages of a deleted account are shown to nobody.
        let Some(members) = self.0.directory.members_with(reader, user).await? else {
            return Ok(MessagePage::default());
        };
        let Some(conversation) = self.0.directory.find(members).await? else { return Ok(MessagePage::default()) };
        let Some(summary) = self.0.store.summary(conversation.id).await? else { return Ok(MessagePage::default()) };
        self.read(&summary, Reader::Reads(reader), before.map_or(Range::Newest, Range::Before), limit).await
    }

    /// Reads what the other side wrote and this side has not read, of the newest page only. Nothing counts as received,
    /// so that a client can poll it.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn read_unread(&self, access: &ConversationAccess) -> Result<Vec<EntryEvent>, StoreError> {
        let state = access.summary.side(access.side);
        if state.unread == 0 {
            return Ok(Vec::new());
        }
        let mut page = self.read(&access.summary, Reader::Nobody, Range::Newest, usize::MAX).await?.messages;
        page.retain(|event| event.entry.side != access.side && event.entry.seq > state.read);
        Ok(page)
    }

    /// Moves the reader's cursor, their side's receipt and, if it `marks_read`, their side's read mark.
    async fn note_fetched(
        &self,
        summary: &Summary,
        person: &Arc<Person>,
        fetched: &Fetched<'_>,
        receipts: &ConversationReceipts,
        marks_read: bool,
    ) -> Result<(), StoreError> {
        let conversation = summary.conversation;
        let Some(last) = fetched.messages.last().map(|entry: &Entry| entry.seq) else { return Ok(()) };
        let side: Option<Side> = conversation.members.side_of_person(person);
        let Some(side) = side else { return Ok(()) };
        self.0.delivery.fetched(side, fetched.messages, fetched.end.is_all, receipts);
        if fetched.end.is_newest && self.covers_undelivered(person, conversation, fetched).await? {
            self.0.delivery.confirm_fetched(person.id, conversation.id, last);
        }
        if marks_read && fetched.covers_unread(summary, side) {
            self.0.messages.mark_read_later(person, conversation, last).await?;
        }
        Ok(())
    }
}
