//! Access to attachments: expiring links, and their renewal.

use std::sync::Arc;

use super::Conversations;
use crate::domain::{Attachment, Entry, Message, MessageId, Person, Status, UserId};
use crate::store::StoreError;

impl Conversations {
    /// The file of a link, named by the end of its path; `None` if the link has expired, or its message was deleted.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn linked_attachment(&self, link: &str) -> Result<Option<Attachment>, StoreError> {
        let Some(id) = self.0.accounts.linked_message(link) else { return Ok(None) };
        Ok(self.file_of(id).await?.map(|(_, attachment)| attachment))
    }

    /// A new path to the file of an expired link, if one of these people may see its message. `None` while the conversation is
    /// removed.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn renewed_path(&self, link: &str, people: &[Arc<Person>]) -> Result<Option<String>, StoreError> {
        let Some(id) = self.0.accounts.once_linked_message(link).filter(|_| !people.is_empty()) else {
            return Ok(None);
        };
        let Some((entry, attachment)) = self.file_of(id).await? else { return Ok(None) };
        let Some(summary) = self.0.store.summary(entry.conversation).await? else { return Ok(None) };
        let conversation = summary.conversation;
        if summary.status == Status::Removed || self.0.directory.is_of_the_deleted(conversation).await? {
            return Ok(None);
        }
        let may_see = |person: &Arc<Person>| conversation.members.side_of_person(person).is_some();
        Ok(people.iter().any(may_see).then(|| self.0.accounts.file_path(id, &attachment.name)))
    }

    /// How many bytes somebody has stored in the files of their messages.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn stored_by(&self, person: UserId) -> Result<u64, StoreError> {
        self.0.store.stored_by(person).await
    }

    /// The file of a message that was not deleted.
    async fn file_of(&self, id: MessageId) -> Result<Option<(Entry, Attachment)>, StoreError> {
        let Some(entry) = self.0.store.message(id).await? else { return Ok(None) };
        let attachment = entry.message().filter(|message| message.text().is_some()).and_then(Message::attachment);
        let attachment = attachment.cloned();
        Ok(attachment.map(|attachment| (entry, attachment)))
    }
}
