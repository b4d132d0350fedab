//! The store port: accounts and conversations.
//!
//! [`UserStore`] stores accounts, [`ConversationStore`] the logs and their projections, [`BanStore`] bans. Every method is atomic and
//! safe to retry; not found is `None`. `contract` is the suite that every adapter passes.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{
    Conversation, ConversationId, Draft, Entry, Members, MessageId, ReceiptCursor, Seq, Side, Summary, Timestamp,
    UserId,
};

#[cfg(test)]
pub(crate) mod contract;
pub mod files;
mod location;
mod maintenance;
#[cfg(test)]
pub(crate) mod maintenance_contract;
pub mod mongo;
mod page;
mod people;
pub mod sqlite;
mod user_change;

pub use location::{DEFAULT_DATABASE, OpenStore, StoreLocation, StoreLocationError};
pub use maintenance::{Maintenance, MalformedRecord, RestoreError};
pub use page::{MAX_PAGE, MAX_PAGE_BYTES, page_bytes};
pub(crate) use page::{Page, is_last_page};
pub use people::*;
pub use user_change::*;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be read or written at present: the disk is full, the file is read-only, or the server is unreachable. A retry may
    /// succeed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It rejects this program, or cannot be created where the settings place it. A retry does not help.
    #[error("the store cannot be used with these settings: {0}")]
    Refused(String),
    /// It has data that cannot be read.
    #[error("the store has unreadable data: {0}")]
    Corrupt(String),
}

/// Why a draft was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no such conversation.
    #[error("no conversation {0}")]
    NoConversation(ConversationId),
    /// The store failed. The draft may have been stored nevertheless, so a retry needs the same client message id.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The result of appending a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is this entry now, and durable.
    New(Entry),
    /// The author has used this client message id in the conversation before. This is the first entry.
    Already(Entry),
    /// It would have changed nothing, so nothing was appended.
    Unchanged {
        /// The log of the conversation had at least the entries up to here then.
        end: Seq,
    },
}

/// Whose conversations a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFor {
    /// An agent's: all support conversations that have messages, and the agent's own direct ones.
    Agent(UserId),
    /// A customer's: those that they are a member of.
    Customer(UserId),
}

impl ListFor {
    /// Whose list it is.
    #[must_use]
    pub const fn user(self) -> UserId {
        match self {
            Self::Agent(user) | Self::Customer(user) => user,
        }
    }

    /// Whether it is an agent's.
    #[must_use]
    pub const fn is_agent(self) -> bool {
        matches!(self, Self::Agent(_))
    }
}

/// How far a person has been delivered to in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveredCursor {
    /// The conversation.
    pub conversation: ConversationId,
    /// The person.
    pub user: UserId,
    /// Everything up to here was delivered.
    pub up_to: Seq,
}

/// How far one side of a conversation has been sent, and has received, the other side's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The conversation.
    pub conversation: ConversationId,
    /// The receiving side.
    pub side: Side,
    /// How far it is.
    pub cursor: ReceiptCursor,
}

/// Cursors that have moved since they were stored last.
#[derive(Debug, Clone, Default)]
pub struct MovedCursors {
    /// Of people.
    pub delivered: Vec<DeliveredCursor>,
    /// Of sides.
    pub receipts: Vec<Receipt>,
}

impl MovedCursors {
    /// Whether none has moved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.delivered.is_empty() && self.receipts.is_empty()
    }
}

/// A conversation with entries that were not delivered to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// The conversation.
    pub conversation: Conversation,
    /// The last delivered entry.
    pub after: Seq,
    /// The newest entry.
    pub last_seq: Seq,
}

/// A page of a conversation's messages, oldest first.
#[derive(Debug, Clone)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<Entry>,
    /// How many there are on all pages.
    pub total: u64,
}

/// A page of support conversations, the most recently changed first.
#[derive(Debug, Clone)]
pub struct SummaryPage {
    /// Their current state.
    pub summaries: Vec<Summary>,
    /// How many there are on all pages.
    pub total: u64,
}

/// Stores conversations, their logs, and what follows from these.
#[async_trait]
pub trait ConversationStore: Send + Sync + 'static {
    /// The conversation of these members; opens it if there is none. Concurrent callers get the same one.
    async fn open(&self, members: Members, at: Timestamp) -> Result<Conversation, StoreError>;
    /// The conversation of these members, if there is one.
    async fn find(&self, members: Members) -> Result<Option<Conversation>, StoreError>;
    /// The current state of a conversation.
    async fn summary(&self, id: ConversationId) -> Result<Option<Summary>, StoreError>;
    /// The same, by UUID.
    async fn summary_by_uuid(&self, uuid: u128) -> Result<Option<Summary>, StoreError>;
    /// The same, by number.
    async fn summary_by_number(&self, number: u64) -> Result<Option<Summary>, StoreError>;
    /// Support conversations that were not removed, including those without messages, the most recently changed first.
    async fn support(&self, skip: u64, limit: usize) -> Result<SummaryPage, StoreError>;
    /// Moves a support conversation to another customer. Returns false, and changes nothing, if they have one already.
    async fn reassign(&self, id: ConversationId, customer: UserId) -> Result<bool, StoreError>;
    /// Conversations that have messages, the newest message first. An agent's list has no removed ones.
    async fn list(&self, list: ListFor, limit: usize) -> Result<Vec<Summary>, StoreError>;
    /// The number of unread messages. For an agent: those that the desk has not read in conversations that were not removed, and those in
    /// the agent's direct ones.
    async fn unread(&self, list: ListFor) -> Result<u64, StoreError>;

    /// Appends drafts, each on its own, in the given order. The results are in the same order.
    ///
    /// Everything enters a conversation this way. Each draft gets the next seq, unless it would change nothing; a client message id that
    /// the author has used in the conversation before returns the first entry. When this returns, everything is durable and the state of
    /// the conversation is up to date. Concurrent appends share a sync.
    async fn append(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>>;
    /// Entries after `after`, oldest first, at most `limit`. A page ends early with the message that brings its texts to
    /// [`MAX_PAGE_BYTES`].
    async fn entries_after(&self, id: ConversationId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError>;
    /// The entries with these seqs, oldest first. Only the first [`MAX_PAGE`] seqs are used.
    async fn entries_at(&self, id: ConversationId, seqs: &[Seq]) -> Result<Vec<Entry>, StoreError>;
    /// The newest `limit` messages before `before`, or of all, oldest first, without deleted ones. A page ends early with the message that
    /// brings its texts to [`MAX_PAGE_BYTES`].
    async fn messages_before(
        &self,
        id: ConversationId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// The messages after the first `skip`, oldest first, at most `limit`, without deleted ones.
    async fn messages_from(&self, id: ConversationId, skip: u64, limit: usize) -> Result<MessagePage, StoreError>;

    /// The message with this id, in any conversation, also if it was deleted.
    async fn message(&self, id: MessageId) -> Result<Option<Entry>, StoreError>;
    /// The messages with these numbers, in any order. Only the first [`MAX_PAGE`] numbers are used.
    async fn messages_by_number(&self, numbers: &[u64]) -> Result<Vec<Entry>, StoreError>;
    /// The total size of the files that this author has sent, in bytes.
    async fn stored_by(&self, author: UserId) -> Result<u64, StoreError>;

    /// Stores cursors that have moved; they do not follow from the log. Stored ones move forward only, so that a retry is safe.
    /// A cursor in an unknown conversation is no error, and does not create the conversation.
    async fn advance_cursors(&self, moved: MovedCursors) -> Result<(), StoreError>;
    /// How far this person has been delivered to; `None` if nothing is stored.
    async fn delivered(&self, id: ConversationId, user: UserId) -> Result<Option<Seq>, StoreError>;
    /// Conversations with entries that were not delivered to this person, the oldest last message first, at most `limit`.
    ///
    /// Where nothing is stored, everything that their side has read counts as delivered.
    async fn missed(&self, list: ListFor, limit: usize) -> Result<Vec<Missed>, StoreError>;

    /// The number of the newest entry of all, 0 if there is none; `None` if the store has no global order of entries.
    ///
    /// Numbers grow in the order in which entries are appended, across conversations. That of a message is its
    /// [`number`](crate::domain::Message::number).
    async fn newest_number(&self) -> Result<Option<u64>, StoreError>;
    /// Entries after this number in the conversations of a list, with their numbers and in their order, at most `limit`. Empty if the
    /// store has no global order of entries.
    async fn entries_since(&self, list: ListFor, after: u64, limit: usize) -> Result<Vec<(u64, Entry)>, StoreError>;

    /// The receipts of both sides of a conversation, by [`Side::index`].
    async fn receipts(&self, id: ConversationId) -> Result<[ReceiptCursor; 2], StoreError>;

    /// Checks that the store can be read and written.
    async fn check(&self) -> Result<(), StoreError>;
}

/// All parts of one store.
#[derive(Clone)]
pub struct Stores {
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Conversations and their logs.
    pub conversations: Arc<dyn ConversationStore>,
    /// Temporary bans.
    pub bans: Arc<dyn BanStore>,
    /// Whether other processes may write to the store at the same time.
    pub is_shared: bool,
}
