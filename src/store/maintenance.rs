//! Maintenance of a store, for `import` and `verify`: reading it page by page, restoring the contents of another store,
//! and repairing the projections of the logs.

use std::fmt;

use async_trait::async_trait;

use super::{DeliveredCursor, StoreError};
use crate::domain::{
    Conversation, ConversationId, DeskId, Entry, EntryKind, MessageExtras, MessageId, Seq, Summary, User, UserId,
};

/// Why something could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The store has something else in its place: it is in use, or has another history.
    #[error("the target already has {0}")]
    Occupied(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A malformed record. It is read as far as possible, or skipped; other records are not affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedRecord {
    /// Its collection.
    pub collection: &'static str,
    /// Its id, as its store writes it.
    pub id: String,
    /// The fields that cannot be read; empty if none of it can.
    pub fields: Vec<&'static str>,
}

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { collection, id, fields } = self;
        match fields.as_slice() {
            [] => write!(f, "{collection} {id}: unreadable, skipped"),
            fields => write!(f, "{collection} {id}: malformed {}", fields.join(", ")),
        }
    }
}

/// Maintains a store that no server is writing to.
#[async_trait]
pub trait Maintenance: Send + Sync + 'static {
    /// Accounts in the order of their ids, after `after`, at most `limit`.
    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError>;
    /// Conversations in the order of their ids, after `after`, at most `limit`, with their state exactly as it is stored.
    async fn conversations_after(
        &self,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Summary>, StoreError>;
    /// The delivery cursors of a person, in the order of conversation ids, after `after`, at most `limit`.
    async fn delivered_after(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<DeliveredCursor>, StoreError>;
    /// Calls `report` for each malformed record. Only a database that other programs write to has any.
    async fn malformed_records(&self, report: &mut (dyn FnMut(MalformedRecord) + Send)) -> Result<(), StoreError>;
    /// The Google accounts of these people, as the replaced server stored them. Nothing else reads them.
    async fn google_ids(&self, users: &[UserId]) -> Result<Vec<(UserId, String)>, StoreError>;

    /// A number that no conversation has or had, for a conversation that cannot keep its number.
    async fn fresh_conversation_number(&self) -> Result<u64, StoreError>;

    /// Restores an account with its id and its number. Returns false, and changes nothing, if it exists already.
    async fn restore_user(&self, user: User) -> Result<bool, RestoreError>;
    /// Adds an id by which customers know the desk, unless it is one already. The first one remains the one that is
    /// shown.
    async fn add_desk_id(&self, id: DeskId) -> Result<(), StoreError>;
    /// Stores somebody's Google account, unless one is stored already.
    async fn restore_google_id(&self, user: UserId, google_id: &str) -> Result<(), StoreError>;
    /// Restores entries with their seqs, ids, numbers and timestamps, in the order of their seqs, and updates the state of the
    /// conversation. Opens the conversation if it does not exist. Returns how many entries were new.
    ///
    /// Entries that exist already must be the same, and the first new one must follow the end of the log. Edits and
    /// deletions of a message follow from later entries, so they are not compared. Neither are extras, which
    /// [`replace_extras`](Self::replace_extras) changes.
    async fn restore(&self, conversation: Conversation, entries: Vec<Entry>) -> Result<u64, RestoreError>;
    /// Replaces the stored state `wrong` by `right`, unless entries were appended since. Returns whether it did.
    async fn repair(&self, wrong: &Summary, right: &Summary) -> Result<bool, StoreError>;
    /// Replaces the last edit or deletion that is stored with a message by that of the entry `right`, or by none, if it is still that of
    /// the entry `wrong`. Returns whether it did.
    async fn repair_revision(
        &self,
        id: ConversationId,
        message: Seq,
        wrong: Option<Seq>,
        right: Option<&Entry>,
    ) -> Result<bool, StoreError>;
    /// Replaces the extras of a message. Does nothing if there is no such message.
    async fn replace_extras(&self, message: MessageId, extras: MessageExtras) -> Result<(), StoreError>;
    /// Messages whose copy for the replaced server is missing or differs from the log. Empty if the store makes no copies. `right` is the
    /// state of the conversation.
    async fn wrong_copies(&self, right: &Summary) -> Result<Vec<Seq>, StoreError>;
    /// Rewrites these copies from the log.
    async fn repair_copies(&self, right: &Summary, wrong: &[Seq]) -> Result<(), StoreError>;
}

/// The entries that are not in the log yet, given the entries that the log has at their seqs.
pub(super) fn news(kept: &[Entry], entries: Vec<Entry>, end: Seq) -> Result<Vec<Entry>, RestoreError> {
    let mut news = Vec::with_capacity(entries.len());
    let mut kept = kept.iter();
    let mut last = end;
    for entry in entries {
        if entry.seq > end {
            if entry.seq != last.next() {
                return Err(StoreError::Corrupt(format!("the log has a gap before {}", entry.seq)).into());
            }
            last = entry.seq;
            news.push(entry);
        } else if kept.next().map(comparable) != Some(comparable(&entry)) {
            return Err(RestoreError::Occupied(format!("entry {} of {}", entry.seq, entry.conversation)));
        }
    }
    Ok(news)
}

/// An entry without the fields that may have changed since it was appended.
fn comparable(entry: &Entry) -> Entry {
    let mut entry = entry.clone().as_appended();
    if let EntryKind::Message(message) = &mut entry.kind {
        message.extras = None;
    }
    entry
}
