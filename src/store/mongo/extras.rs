//! What goes with messages beside their text.

use futures_util::TryStreamExt;
use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use serde::{Deserialize, Serialize};

use super::documents::{int, object_id, whole};
use super::{Shared, queries};
use crate::domain::{Attachment, MessageExtras, MessageId};
use crate::store::{MAX_PAGE, StoreError};

pub(super) const EXTRAS: &str = "messageExtras";

/// What goes with one message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExtrasDocument {
    /// The message's.
    #[serde(rename = "_id")]
    id: ObjectId,
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
    fn new(message: MessageId, extras: MessageExtras) -> Self {
        let attachment = extras.attachment.map(|attachment| AttachmentDocument {
            file: attachment.file,
            name: attachment.name,
            media_type: attachment.media_type,
            size: int(attachment.size),
        });
        Self { id: object_id(message.bytes()), reply_to: extras.reply_to.map(int), attachment }
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
    pub(super) async fn save_extras(&self, message: MessageId, extras: MessageExtras) -> Result<(), StoreError> {
        self.extras.replace_one(queries::message(message), ExtrasDocument::new(message, extras)).upsert(true).await?;
        Ok(())
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
