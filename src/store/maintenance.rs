//! Maintenance of a store, which the desk does not need: reads it page by page, writes what another store had, and repairs
//! projections.

use std::fmt;

use async_trait::async_trait;

use super::{Delivered, StoreError};
use crate::domain::{
    Conversation, ConversationId, DeskId, Entry, EntryKind, MessageExtras, MessageId, Seq, Summary, User, UserId,
};

/// Why something could not be put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Something else stands in its place: the store is in use by others, or holds another history.
    #[error("the target already has {0}")]
    Occupied(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A record that is not as it should be. It is read as well as can be, or left out, and holds up no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedRecord {
    /// Where it is.
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
            [] => write!(f, "{collection} {id}: cannot be read, and is left out"),
            fields => write!(f, "{collection} {id}: odd {}", fields.join(", ")),
        }
    }
}

/// Looks after a store that no server is writing to.
#[async_trait]
pub trait Maintenance: Send + Sync + 'static {
    /// Accounts by id, beyond `after`, at most `limit`.
    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError>;
    /// Conversations by id, beyond `after`, at most `limit`, with their projections exactly as they are kept.
    async fn conversations_after(
        &self,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Summary>, StoreError>;
    /// How far a person has been delivered to, by conversation, beyond `after`, at most `limit`.
    async fn delivered_after(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Delivered>, StoreError>;
    /// Tells of each record that is odd. Only a database that other programs write to holds any.
    async fn malformed_records(&self, tell: &mut (dyn FnMut(MalformedRecord) + Send)) -> Result<(), StoreError>;
    /// The accounts that these people have with Google, as far as the replaced server has noted them; we only keep the note.
    async fn google_ids(&self, users: &[UserId]) -> Result<Vec<(UserId, String)>, StoreError>;

    /// A number that no conversation has, or had: for one that is to be put back under a number of this store's own.
    async fn fresh_conversation_number(&self) -> Result<u64, StoreError>;

    /// Puts an account back with its id and its number. Tells whether that was news; an account that is there already
    /// stays as it is.
    async fn restore_user(&self, user: User) -> Result<bool, RestoreError>;
    /// Adds an id under which customers know the desk, if it is none yet; the first one stays the one that is shown.
    async fn add_desk_id(&self, id: DeskId) -> Result<(), StoreError>;
    /// Notes somebody's account with Google, if none is noted.
    async fn restore_google_id(&self, user: UserId, google_id: &str) -> Result<(), StoreError>;
    /// Puts entries back with their seqs, ids, numbers and stamps, in the order of their seqs, and brings the projections up
    /// to date; opens the conversation first if it is not there. Gives how many entries were news.
    ///
    /// Entries that are there already must be the same, and the first that is not must follow the end of the log. What became
    /// of messages follows from the entries that did it, and is not compared; nor are extras, which
    /// [`replace_extras`](Self::replace_extras) may have changed.
    async fn restore(&self, conversation: Conversation, entries: Vec<Entry>) -> Result<u64, RestoreError>;
    /// Puts the right projections in the place of wrong ones, unless the log has moved on from `last_seq` of `wrong`. Tells
    /// whether it did.
    async fn repair(&self, wrong: &Summary, right: &Summary) -> Result<bool, StoreError>;
    /// Puts right what became of a message: what the entry `right` made of it, or nothing. Changes nothing unless the entry
    /// `wrong` is still what counts as having changed it last. Tells whether it did.
    async fn repair_revision(
        &self,
        id: ConversationId,
        message: Seq,
        wrong: Option<Seq>,
        right: Option<&Entry>,
    ) -> Result<bool, StoreError>;
    /// Replaces what a message has besides its text. Nothing happens if there is no such message.
    async fn replace_extras(&self, message: MessageId, extras: MessageExtras) -> Result<(), StoreError>;
    /// Messages of a conversation whose copy for the replaced server is missing, or says something else than the log.
    /// Nothing, if the store makes no copies. `right` says how matters stand there.
    async fn wrong_copies(&self, right: &Summary) -> Result<Vec<Seq>, StoreError>;
    /// Writes these copies anew from the log.
    async fn repair_copies(&self, right: &Summary, wrong: &[Seq]) -> Result<(), StoreError>;
}

/// The entries that are not in the log yet, given those that stand in their place there.
pub(super) fn news(kept: &[Entry], entries: Vec<Entry>, end: Seq) -> Result<Vec<Entry>, RestoreError> {
    let mut news = Vec::with_capacity(entries.len());
    let mut kept = kept.iter();
    let mut last = end;
    for entry in entries {
        if entry.seq > end {
            if entry.seq != last.next() {
                return Err(StoreError::Corrupt(format!("the log has a hole before {}", entry.seq)).into());
            }
            last = entry.seq;
            news.push(entry);
        } else if kept.next().map(comparable) != Some(comparable(&entry)) {
            return Err(RestoreError::Occupied(format!("entry {} of {}", entry.seq, entry.conversation)));
        }
    }
    Ok(news)
}

/// An entry without what may have changed since it was appended.
fn comparable(entry: &Entry) -> Entry {
    let mut entry = entry.clone().as_appended();
    if let EntryKind::Message(message) = &mut entry.kind {
        message.extras = None;
    }
    entry
}
