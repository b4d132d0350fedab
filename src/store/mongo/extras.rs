//! Extras of messages: fields of their entries.
//!
//! Earlier versions stored them in a collection of their own, which is emptied into the entries when a database is opened. That can be
//! killed and run again, and several processes may do it at once: an entry is updated before the document that it was read from is
//! removed, and both have the same result however often they are done. A server of an earlier version may still run meanwhile. It
//! writes the document before its entry, so a young document without an entry is left for a later start.

use std::collections::HashSet;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Document, doc};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::documents::{ENTRIES, int, object_id, whole};
use super::updates::{Scope, Update};
use super::{Shared, connection::within, queries};
use crate::domain::{Attachment, Clock as _, MessageExtras, MessageId, SystemClock, UserId};
use crate::store::{MAX_PAGE, StoreError};

/// Collection of earlier versions; `_id` is the id of the message.
const SUPERSEDED: &str = "messageExtras";

/// A document that has had no entry for this long belongs to a message that was never stored.
const NO_ENTRY_COMES: Duration = Duration::from_hours(1);

/// A file, as a field of an entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttachmentDocument {
    file: String,
    name: String,
    media_type: String,
    size: i64,
}

impl From<&Attachment> for AttachmentDocument {
    fn from(attachment: &Attachment) -> Self {
        Self {
            file: attachment.file.clone(),
            name: attachment.name.clone(),
            media_type: attachment.media_type.clone(),
            size: int(attachment.size),
        }
    }
}

impl AttachmentDocument {
    fn read(&self) -> Attachment {
        Attachment {
            file: self.file.clone(),
            name: self.name.clone(),
            media_type: self.media_type.clone(),
            size: whole(self.size),
        }
    }

    fn written(&self) -> Document {
        doc! { "file": &self.file, "name": &self.name, "mediaType": &self.media_type, "size": self.size }
    }
}

pub(super) fn read(reply_to: Option<i64>, attachment: Option<&AttachmentDocument>) -> Option<Box<MessageExtras>> {
    MessageExtras { reply_to: reply_to.map(whole), attachment: attachment.map(AttachmentDocument::read) }.boxed()
}

/// A document of the superseded collection.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SupersededDocument {
    #[serde(rename = "_id")]
    message: ObjectId,
    reply_to: Option<i64>,
    attachment: Option<AttachmentDocument>,
}

/// The fields of an entry.
fn fields(reply_to: Option<i64>, attachment: Option<&AttachmentDocument>) -> Document {
    let mut fields = Document::new();
    if let Some(reply_to) = reply_to {
        fields.insert("replyTo", reply_to);
    }
    if let Some(attachment) = attachment {
        fields.insert("attachment", attachment.written());
    }
    fields
}

#[derive(Deserialize)]
struct Identified {
    #[serde(rename = "_id")]
    id: ObjectId,
}

#[derive(Deserialize)]
struct Sized {
    attachment: AttachmentDocument,
}

impl Shared {
    pub(super) async fn replace_extras(&self, message: MessageId, extras: MessageExtras) -> Result<(), StoreError> {
        let attachment = extras.attachment.as_ref().map(AttachmentDocument::from);
        let fields = fields(extras.reply_to.map(int), attachment.as_ref());
        let mut change = Document::new();
        let missing: Document = ["replyTo", "attachment"]
            .into_iter()
            .filter(|field| !fields.contains_key(field))
            .map(|field| (field.to_owned(), "".into()))
            .collect();
        for (operator, fields) in [("$set", fields), ("$unset", missing)] {
            if !fields.is_empty() {
                change.insert(operator, fields);
            }
        }
        self.entries.update_one(queries::message_entry(message), change).await?;
        Ok(())
    }

    pub(super) async fn stored_by(&self, author: UserId) -> Result<u64, StoreError> {
        let entries = self.entries.clone_with_type::<Sized>();
        let mut found = entries.find(queries::attachments_of(author)).projection(doc! { "attachment": 1 }).await?;
        let mut stored = 0;
        while let Some(entry) = found.try_next().await? {
            stored += whole(entry.attachment.size);
        }
        Ok(stored)
    }

    /// Moves the extras that an earlier version has stored into the entries.
    pub(super) async fn move_extras(&self) -> Result<(), StoreError> {
        let superseded = self.database.collection::<SupersededDocument>(SUPERSEDED);
        let (mut last, mut moved) = (None, 0);
        loop {
            let batch = within(async {
                let found = superseded.find(queries::beyond(last)).sort(queries::by_id());
                let limit = i64::try_from(MAX_PAGE).unwrap_or(i64::MAX);
                Ok::<Vec<SupersededDocument>, StoreError>(found.limit(limit).await?.try_collect().await?)
            });
            let batch = batch.await?;
            let Some(newest) = batch.last() else { break };
            last = Some(newest.message);
            let mut ids: Vec<MessageId> = batch.iter().map(|it| MessageId::from_bytes(it.message.bytes())).collect();
            // Read first, so that a document is removed only if the update saw its entry.
            let there = within(self.ids_of_entries(&ids)).await?;
            let update = |document: &SupersededDocument| {
                let fields = fields(document.reply_to, document.attachment.as_ref());
                // The message was never stored, so nobody needs its extras.
                (!fields.is_empty()).then(|| Update {
                    filter: queries::message_entry(MessageId::from_bytes(document.message.bytes())),
                    change: doc! { "$set": fields },
                    scope: Scope::One,
                })
            };
            self.update_all(ENTRIES, batch.iter().filter_map(update).collect()).await?;
            ids.retain(|id| there.contains(id) || may_go(*id));
            moved += ids.len();
            within(async { Ok::<_, StoreError>(superseded.delete_many(queries::with_ids_of(&ids)).await?) }).await?;
        }
        if moved > 0 {
            tracing::info!(moved, "Moved the extras of messages into their entries");
        }
        Ok(())
    }

    /// Returns those of these messages that have an entry.
    async fn ids_of_entries(&self, messages: &[MessageId]) -> Result<HashSet<MessageId>, StoreError> {
        let entries = self.entries.clone_with_type::<Identified>();
        // As a projection, the sort document of `by_id` selects the id only.
        let found = entries.find(queries::with_ids_of(messages)).projection(queries::by_id()).await?;
        Ok(found.map_ok(|entry| MessageId::from_bytes(entry.id.bytes())).try_collect().await?)
    }
}

/// Whether this message is old enough that no entry of it can follow. An id begins with its time.
fn may_go(message: MessageId) -> bool {
    let made = object_id(message.bytes()).timestamp().timestamp_millis();
    let age = SystemClock.now().millis().saturating_sub(made);
    age > i64::try_from(NO_ENTRY_COMES.as_millis()).unwrap_or(i64::MAX)
}
