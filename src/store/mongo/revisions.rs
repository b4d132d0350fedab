//! Edits and deletions as stored with the messages, repaired from the entries of the log.
//!
//! They are written after their entry and before the projections move past it, so everything up to `lastSeq` is
//! complete. Of two entries about a message, the later one counts, regardless of the order in which they are written.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::documents::{ENTRIES, EntryDocument, date, int, object_id, side_of_int, side_to_int, time, whole};
use super::queries;
use super::updates::{Scope, Update};
use super::{Shared, connection::within};
use crate::domain::{
    ConversationId, Entry, EntryKind, LastMessage, MessageBody, MessageId, Recount, Revision, Seq, Side, Summary,
    Target,
};
use crate::store::{MAX_PAGE, StoreError};

/// The message that an edit or a deletion changes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TargetDocument {
    id: ObjectId,
    number: i64,
    seq: i64,
    side: i32,
}

impl From<&Target> for TargetDocument {
    fn from(target: &Target) -> Self {
        Self {
            id: object_id(target.id.bytes()),
            number: int(target.number),
            seq: int(target.seq.get()),
            side: side_to_int(target.side),
        }
    }
}

impl TargetDocument {
    pub(super) fn read(&self) -> Option<Target> {
        Some(Target {
            id: MessageId::from_bytes(self.id.bytes()),
            number: whole(self.number),
            seq: Seq::new(whole(self.seq)),
            side: side_of_int(self.side)?,
        })
    }
}

/// The last edit or deletion of a message; a deletion has no text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RevisionDocument {
    seq: i64,
    at: DateTime,
    #[serde(default)]
    text: Option<String>,
}

impl From<RevisionDocument> for Revision {
    fn from(document: RevisionDocument) -> Self {
        Self { seq: Seq::new(whole(document.seq)), at: time(document.at), text: document.text.map(MessageBody::stored) }
    }
}

/// The update of the message that this entry changes.
fn change(entry: &Entry) -> Document {
    let text = match &entry.kind {
        EntryKind::Edited { body, .. } => Some(body.as_str()),
        EntryKind::Message(_)
        | EntryKind::Read { .. }
        | EntryKind::StatusChanged { .. }
        | EntryKind::Deleted { .. } => None,
    };
    let mut revision = doc! { "seq": int(entry.seq.get()), "at": date(entry.at) };
    if let Some(text) = text {
        revision.insert("text", text);
    }
    doc! { "$set": { "revision": revision } }
}

impl Shared {
    /// Stores these edits and deletions with their messages.
    pub(super) async fn revise(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let update = |entry: &Entry| {
            let target = entry.target()?;
            let filter = queries::unrevised_since(entry.conversation, target.seq, entry.seq);
            Some(Update { filter, change: change(entry), scope: Scope::One })
        };
        self.update_all(ENTRIES, entries.iter().filter_map(update).collect()).await.map(drop)
    }

    /// The current text of a message; `None` if it was deleted.
    pub(super) async fn text(&self, id: ConversationId, target: &Target) -> Result<Option<MessageBody>, StoreError> {
        let found = self.entries_at(id, &[target.seq]).await?.pop();
        let message = found.as_ref().and_then(Entry::message).filter(|message| message.id == target.id);
        Ok(message.and_then(|message| message.text().cloned()))
    }

    /// The entries with these seqs, oldest first.
    pub(super) async fn entries_at(&self, id: ConversationId, seqs: &[Seq]) -> Result<Vec<Entry>, StoreError> {
        let seqs: Vec<Bson> = seqs.iter().take(MAX_PAGE).map(|seq| int(seq.get()).into()).collect();
        let found = self.entries.find(queries::entries_at(id, seqs)).sort(queries::by_seq()).await?;
        let documents: Vec<EntryDocument> = found.try_collect().await?;
        documents.into_iter().map(Entry::try_from).collect()
    }

    /// What has to be read from the log to apply an entry to `summary`, as it was when the entry was appended.
    pub(super) async fn recount(&self, summary: &Summary, entry: &Entry) -> Result<Recount, StoreError> {
        let mut recount = Recount::default();
        match &entry.kind {
            EntryKind::Read { up_to } => {
                let last_message = summary.last_message.as_ref().map_or(Seq::ZERO, |last| last.seq);
                if *up_to < last_message {
                    recount.unread = self.count_messages(summary, entry.side.other(), *up_to, entry.seq).await?;
                }
            }
            EntryKind::Deleted { target } if summary.is_last_message(target.seq) => {
                recount.last_message = self.last_message(summary, target.seq, entry.seq).await?;
            }
            EntryKind::Message(_)
            | EntryKind::StatusChanged { .. }
            | EntryKind::Edited { .. }
            | EntryKind::Deleted { .. } => {}
        }
        Ok(recount)
    }

    /// The number of messages of `side` after `after` that existed when the entry `as_of` was appended.
    pub(super) async fn count_messages(
        &self,
        summary: &Summary,
        side: Side,
        after: Seq,
        as_of: Seq,
    ) -> Result<u64, StoreError> {
        let between = queries::messages_between(summary.conversation.id, side, after, as_of);
        Ok(self.entries.count_documents(between).await?)
    }

    /// The last message before `before` that existed when the entry `as_of` was appended. If it was deleted since, its
    /// text does not matter, because the deletion is applied later.
    async fn last_message(
        &self,
        summary: &Summary,
        before: Seq,
        as_of: Seq,
    ) -> Result<Option<LastMessage>, StoreError> {
        let last = self.entries.find_one(queries::messages_as_of(summary.conversation.id, before, as_of));
        let Some(last) = last.sort(queries::newest_first()).await? else { return Ok(None) };
        let last = Entry::try_from(last)?;
        let body = last.message().map(|message| message.text().unwrap_or(&message.original).clone());
        Ok(body.map(|body| LastMessage { seq: last.seq, side: last.side, body, at: last.at }))
    }

    pub(super) async fn repair_revision(
        &self,
        id: ConversationId,
        message: Seq,
        wrong: Option<Seq>,
        right: Option<&Entry>,
    ) -> Result<bool, StoreError> {
        let filter = queries::revised_by(id, message, wrong);
        let change = right.map_or_else(|| doc! { "$unset": { "revision": "" } }, change);
        let update = async { Ok::<_, StoreError>(self.entries.update_one(filter, change).await?) };
        Ok(within(update).await?.matched_count == 1)
    }
}
