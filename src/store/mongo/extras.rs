//! Extras of messages: replies and attachments.

use bson::doc;
use bson::oid::ObjectId;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::documents::{int, object_id, whole};
use super::{Shared, queries};
use crate::domain::{Attachment, MessageExtras, MessageId, UserId};
use crate::store::{MAX_PAGE, StoreError};

pub(super) const EXTRAS: &str = "messageExtras";

/// What goes with one message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExtrasDocument {
    /// The message's.
    #[serde(rename = "_id")]
    id: ObjectId,
    /// Whose message it is; an earlier version has not noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<ObjectId>,
    reply_to: Option<i64>,
    attachment: Option<AttachmentDocument>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentDocument {
    file: String,
    name: String,
    media_type: String,
    size: i64,
}

impl ExtrasDocument {
    fn new(message: MessageId, author: UserId, extras: MessageExtras) -> Self {
        let attachment = extras.attachment.map(|attachment| AttachmentDocument {
            file: attachment.file,
            name: attachment.name,
            media_type: attachment.media_type,
            size: int(attachment.size),
        });
        let author = Some(object_id(author.bytes()));
        Self { id: object_id(message.bytes()), author, reply_to: extras.reply_to.map(int), attachment }
    }

    fn read(self) -> (MessageId, MessageExtras) {
        let attachment = self.attachment.map(|attachment| Attachment {
            file: attachment.file,
            name: attachment.name,
            media_type: attachment.media_type,
            size: whole(attachment.size),
        });
        let extras = MessageExtras { reply_to: self.reply_to.map(whole), attachment };
        (MessageId::from_bytes(self.id.bytes()), extras)
    }
}

impl Shared {
    pub(super) async fn save_extras(
        &self,
        message: MessageId,
        author: UserId,
        extras: MessageExtras,
    ) -> Result<(), StoreError> {
        let document = ExtrasDocument::new(message, author, extras);
        self.extras.replace_one(queries::message(message), document).upsert(true).await?;
        Ok(())
    }

    /// What an earlier version has kept does not say whose it is, and does not count.
    pub(super) async fn stored_by(&self, author: UserId) -> Result<u64, StoreError> {
        let mut found = self.extras.find(queries::extras_of_author(author)).await?;
        let mut stored = 0;
        while let Some(document) = found.try_next().await? {
            stored += document.attachment.map_or(0, |attachment| whole(attachment.size));
        }
        Ok(stored)
    }

    pub(super) async fn extras_of(
        &self,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, MessageExtras)>, StoreError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = &messages[..messages.len().min(MAX_PAGE)];
        let found: Vec<ExtrasDocument> = self.extras.find(queries::with_ids_of(wanted)).await?.try_collect().await?;
        Ok(found.into_iter().map(ExtrasDocument::read).collect())
    }
}
