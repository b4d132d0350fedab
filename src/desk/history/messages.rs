//! Looks up single messages.

use super::History;
use crate::domain::{ConversationId, Entry, EntryEvent};
use crate::store::StoreError;

impl History {
    /// The message with this number, if it is of this conversation and was not deleted.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn message(&self, id: ConversationId, number: u64) -> Result<Option<EntryEvent>, StoreError> {
        let found = self.message_entry(number).await?;
        let Some(entry) = found.filter(|entry| entry.conversation == id) else { return Ok(None) };
        let Some(conversation) = self.0.directory.conversation(id).await? else { return Ok(None) };
        Ok(self.0.events.build(conversation, vec![entry]).await?.pop().filter(EntryEvent::is_message))
    }

    /// The number of the conversation that has the message with this number.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn conversation_of_message(&self, number: u64) -> Result<Option<u64>, StoreError> {
        let Some(entry) = self.message_entry(number).await? else { return Ok(None) };
        Ok(self.0.directory.conversation(entry.conversation).await?.map(|conversation| conversation.number))
    }

    /// The entry of the message with this number, deleted or not.
    pub(super) async fn message_entry(&self, number: u64) -> Result<Option<Entry>, StoreError> {
        Ok(self.0.store.messages_by_number(&[number]).await?.pop())
    }
}
