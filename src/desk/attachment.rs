//! Somebody fetches the file that came with a message.

use super::Desk;
use crate::domain::{Attachment, MessageExtras, MessageId};
use crate::store::StoreError;

impl Desk {
    /// Where the file of a message can be fetched for a while, if it has one.
    pub(super) fn attachment_path(&self, message: Option<MessageId>, extras: &MessageExtras) -> Option<String> {
        let attachment = extras.attachment.as_ref()?;
        Some(self.0.accounts.file_path(message?, &attachment.name))
    }

    /// The file to which a path leads that ends like this; `None` if the link is not good any more, or its message was deleted.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn linked_attachment(&self, link: &str) -> Result<Option<Attachment>, StoreError> {
        let Some(id) = self.0.accounts.linked_message(link) else { return Ok(None) };
        let conversations = &self.0.stores.conversations;
        let entry = conversations.message(id).await?;
        if entry.as_ref().and_then(|entry| entry.message()).is_none_or(|message| message.text().is_none()) {
            return Ok(None);
        }
        let extras = conversations.extras(&[id]).await?;
        Ok(extras.into_iter().find_map(|(message, extras)| extras.attachment.filter(|_| message == id)))
    }
}
