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

pub use location::{DEFAULT_DATABASE, OpenStore, StoreLocation, StoreLocationError};
pub use maintenance::{Maintenance, MalformedRecord, RestoreError};
pub use page::{MAX_PAGE, MAX_PAGE_BYTES, page_bytes};
pub(crate) use page::{Page, is_last_page};
pub use people::*;

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot write or read at present: disk full, file read-only, server away. A later try may succeed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It does not let this program in, or cannot be where the settings say: trying again is of no use.
    #[error("the store cannot be used with these settings: {0}")]
    Refused(String),
    /// What it holds cannot be understood.
    #[error("the store has unreadable data: {0}")]
    Corrupt(String),
}

/// Why a draft was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no such conversation.
    #[error("no conversation {0}")]
    NoConversation(ConversationId),
    /// The store failed; whether the draft was kept is not known if the failure came late, so a retry must carry the
    /// same client message id.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is now this entry, and durable.
    New(Entry),
    /// The same author had appended the same client message id to the conversation before: the first entry stands.
    Already(Entry),
    /// It would have changed nothing, so there is no entry.
    Unchanged,
}

/// Whose conversations a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFor {
    /// An agent: all support conversations in which something was said, and its own direct ones.
    Agent(UserId),
    /// Anybody else: those they are a member of.
    Customer(UserId),
}

impl ListFor {
    /// The viewer.
    #[must_use]
    pub const fn user(self) -> UserId {
        match self {
            Self::Agent(user) | Self::Customer(user) => user,
        }
    }

    /// Whether the viewer answers for the desk.
    #[must_use]
    pub const fn is_agent(self) -> bool {
        matches!(self, Self::Agent(_))
    }
}

/// How far a person has been delivered to in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// Everything up to here.
    pub up_to: Seq,
}

/// How far one side of a conversation has come to hear of what the other said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The side that hears.
    pub side: Side,
    /// How far.
    pub cursor: ReceiptCursor,
}

/// A conversation in which a person has something to catch up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Which conversation.
    pub conversation: Conversation,
    /// Delivered so far: what lies beyond is missing.
    pub after: Seq,
    /// The newest entry.
    pub last_seq: Seq,
}

/// A part of a conversation's messages, oldest first.
#[derive(Debug, Clone)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<Entry>,
    /// How many there are in all.
    pub total: u64,
}

/// One page of support conversations, the one that changed last first.
#[derive(Debug, Clone)]
pub struct SummaryPage {
    /// How matters stand in each.
    pub summaries: Vec<Summary>,
    /// How many there are on all pages.
    pub total: u64,
}

/// Keeps conversations, their logs, and what follows from them.
#[async_trait]
pub trait ConversationStore: Send + Sync + 'static {
    /// The conversation of these members; opens it if there is none. Two callers at once get the same one.
    async fn open(&self, members: Members, at: Timestamp) -> Result<Conversation, StoreError>;
    /// The conversation of these members, the newest if there were several.
    async fn find(&self, members: Members) -> Result<Option<Conversation>, StoreError>;
    /// How matters stand in a conversation.
    async fn summary(&self, id: ConversationId) -> Result<Option<Summary>, StoreError>;
    /// The same, for a conversation that is known by its UUID.
    async fn summary_by_uuid(&self, uuid: u128) -> Result<Option<Summary>, StoreError>;
    /// The same, for a conversation that is known by its number.
    async fn summary_by_number(&self, number: u64) -> Result<Option<Summary>, StoreError>;
    /// Support conversations that were not removed, also those in which nothing was said, the one that changed last first.
    async fn support(&self, skip: u64, limit: usize) -> Result<SummaryPage, StoreError>;
    /// Gives a support conversation to another customer. False, and nothing changes, if they have one already.
    async fn reassign(&self, id: ConversationId, customer: UserId) -> Result<bool, StoreError>;
    /// Conversations in which something was said, newest message first; for an agent without support conversations that were removed.
    async fn list(&self, list: ListFor, limit: usize) -> Result<Vec<Summary>, StoreError>;
    /// How many messages wait to be read by this person: by the whole desk where nothing was removed, and in direct
    /// conversations, for an agent.
    async fn unread(&self, list: ListFor) -> Result<u64, StoreError>;

    /// Appends drafts, each on its own, in the order given; the answers come in the same order.
    ///
    /// The only way anything enters a conversation. Each draft gets the next seq, or none if it is no news; the same
    /// author and client message id again in the same conversation gives the first entry and changes nothing. All
    /// projections are up to date and everything is durable when this returns. Appends that wait at the same time share
    /// one sync.
    async fn append(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>>;
    /// Entries beyond `after`, oldest first, at most `limit`. Fewer if they are long: a page ends with the message by which its texts come
    /// to [`MAX_PAGE_BYTES`].
    async fn entries_after(&self, id: ConversationId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError>;
    /// The entries with these seqs, oldest first. At most [`MAX_PAGE`] are looked at.
    async fn entries_at(&self, id: ConversationId, seqs: &[Seq]) -> Result<Vec<Entry>, StoreError>;
    /// The newest `limit` messages before `before` (or of all), oldest first, without those that were deleted. Fewer if they are
    /// long: a page ends with the message by which its texts come to [`MAX_PAGE_BYTES`].
    async fn messages_before(
        &self,
        id: ConversationId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// The messages beyond the first `skip`, oldest first, at most `limit`.
    async fn messages_from(&self, id: ConversationId, skip: u64, limit: usize) -> Result<MessagePage, StoreError>;

    /// The entry of the message with this id, in whatever conversation, also if it was deleted.
    async fn message(&self, id: MessageId) -> Result<Option<Entry>, StoreError>;
    /// The same, for messages that are known by their numbers, in no particular order; at most [`MAX_PAGE`] are looked at.
    async fn messages_by_number(&self, numbers: &[u64]) -> Result<Vec<Entry>, StoreError>;
    /// The bytes of all files that were sent with messages of this author.
    async fn stored_by(&self, author: UserId) -> Result<u64, StoreError>;

    /// Notes how far people have been delivered to. Not a projection; what is kept moves forward only.
    async fn advance_delivered(&self, marks: Vec<Delivered>) -> Result<(), StoreError>;
    /// How far this person has been delivered to; `None` if nothing is recorded.
    async fn delivered(&self, id: ConversationId, user: UserId) -> Result<Option<Seq>, StoreError>;
    /// Conversations in which this person has missed entries, the longest-waiting first, at most `limit`.
    ///
    /// Where nothing is recorded, a person counts as delivered up to what their side has read.
    async fn missed(&self, list: ListFor, limit: usize) -> Result<Vec<Missed>, StoreError>;

    /// The number of the newest entry of all, 0 if there is none; `None` from a store without one order of all entries.
    ///
    /// Numbers grow in the order in which entries are appended, whatever their conversation. A message's is its own
    /// [`number`](crate::domain::Message::number).
    async fn newest_number(&self) -> Result<Option<u64>, StoreError>;
    /// Entries beyond this number in the conversations of a list, with their numbers and in their order, at most `limit`.
    /// Nothing from a store without one order of all entries.
    async fn entries_since(&self, list: ListFor, after: u64, limit: usize) -> Result<Vec<(u64, Entry)>, StoreError>;

    /// Notes how far sides have come. What is kept moves forward only.
    async fn note_receipts(&self, receipts: Vec<Receipt>) -> Result<(), StoreError>;
    /// How far both sides of a conversation have come, by [`Side::index`].
    async fn receipts(&self, id: ConversationId) -> Result<[ReceiptCursor; 2], StoreError>;

    /// Whether the store can be read from and written to now.
    async fn check(&self) -> Result<(), StoreError>;
}

/// All parts of one store.
#[derive(Clone)]
pub struct Stores {
    /// People.
    pub users: Arc<dyn UserStore>,
    /// Logs.
    pub conversations: Arc<dyn ConversationStore>,
    /// Who is shut out for a time.
    pub bans: Arc<dyn BanStore>,
    /// Whether other processes may write to it at the same time.
    pub is_shared: bool,
}
