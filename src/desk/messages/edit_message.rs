//! Edits or deletes a message.

use std::sync::Arc;

use super::Messages;
use super::SendMessageError;
use crate::domain::{
    ConnectionId, Conversation, ConversationId, DraftKind, Entry, Message, MessageBody, MessageId, Person, Seq, Side,
    Target, Timestamp,
};
use crate::store::StoreError;

/// An edit or a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revised {
    /// Which message.
    pub message: MessageId,
    /// Where.
    pub conversation: ConversationId,
    /// Its entry; an earlier one, if this changed nothing.
    pub seq: Seq,
    /// When that was.
    pub at: Timestamp,
}

/// Why a message was not edited or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ReviseError {
    /// There is no such message, or it is in none of the person's conversations, or it was deleted.
    #[error("no such message")]
    NotFound,
    /// Only its author may, and an agent may delete.
    #[error("the message is somebody else's")]
    Forbidden,
    /// The change was not stored.
    #[error(transparent)]
    Append(#[from] SendMessageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Messages {
    /// Edits a message of the author's own. Returns once the edit is durable and published. The same text again changes nothing, so
    /// that a retry gets the same response.
    ///
    /// # Errors
    /// [`ReviseError`] if it is refused, or the store fails.
    #[tracing::instrument(level = "debug", name = "desk.edit_message", skip_all, fields(
        user.id = %author.id, message.id = %id, connection.id = origin.map(tracing::field::display)
    ))]
    pub async fn edit(
        &self,
        author: &Arc<Person>,
        id: MessageId,
        text: &str,
        origin: Option<ConnectionId>,
    ) -> Result<Revised, ReviseError> {
        let found = self.find_message(author, id).await?;
        if found.entry.author != author.id {
            return Err(ReviseError::Forbidden);
        }
        if found.message.text().is_none() {
            return Err(ReviseError::NotFound);
        }
        let body = MessageBody::parse(text, self.0.max_chars).map_err(SendMessageError::from)?;
        self.count_text(author, body.as_str()).map_err(SendMessageError::from)?;
        let edit = DraftKind::Edit { target: found.target, body };
        self.revise(author, found, edit, origin).await
    }

    /// Deletes a message: the author's own or, for an agent, any of a conversation with the desk. Returns once the deletion is
    /// durable and published. Deleting again changes nothing.
    ///
    /// # Errors
    /// [`ReviseError`] if it is refused, or the store fails.
    #[tracing::instrument(level = "debug", name = "desk.delete_message", skip_all, fields(
        user.id = %author.id, message.id = %id, connection.id = origin.map(tracing::field::display)
    ))]
    pub async fn delete(
        &self,
        author: &Arc<Person>,
        id: MessageId,
        origin: Option<ConnectionId>,
    ) -> Result<Revised, ReviseError> {
        let found = self.find_message(author, id).await?;
        let may_delete = found.entry.author == author.id
            || (found.conversation.members.customer().is_some() && found.side == Side::Desk);
        if !may_delete {
            return Err(ReviseError::Forbidden);
        }
        self.count_text(author, "").map_err(SendMessageError::from)?;
        let delete = DraftKind::Delete { target: found.target };
        self.revise(author, found, delete, origin).await
    }

    /// The message, if it is in a conversation of this person.
    async fn find_message(&self, person: &Person, id: MessageId) -> Result<Found, ReviseError> {
        let entry = self.0.store.message(id).await?.ok_or(ReviseError::NotFound)?;
        let conversation = self.0.directory.conversation(entry.conversation).await?.ok_or(ReviseError::NotFound)?;
        let side = conversation.members.side_of_person(person).ok_or(ReviseError::NotFound)?;
        let (Some(message), Some(target)) = (entry.message().cloned(), entry.as_target()) else {
            return Err(ReviseError::NotFound);
        };
        Ok(Found { conversation, entry, message, target, side })
    }

    /// Appends a revision. If it changes nothing, returns the revision before it.
    async fn revise(
        &self,
        author: &Arc<Person>,
        found: Found,
        kind: DraftKind,
        origin: Option<ConnectionId>,
    ) -> Result<Revised, ReviseError> {
        let submission = self.0.log.prepare(found.conversation, found.side, author.clone(), kind).await?;
        let submission = submission.with_origin(origin).about(found.message.clone());
        let sent = self.0.log.append(submission).await.map_err(SendMessageError::from)?;
        let Some(sent) = sent else { return self.revised_before(author, found).await };
        let entry = &sent.event.entry;
        Ok(Revised { message: found.message.id, conversation: found.conversation.id, seq: entry.seq, at: entry.at })
    }

    /// The revision that made this one unnecessary: somebody was faster, or the text is the original.
    async fn revised_before(&self, person: &Person, found: Found) -> Result<Revised, ReviseError> {
        let now = self.find_message(person, found.message.id).await?;
        let (seq, at) = match now.message.revision {
            // It was deleted while the edit waited.
            Some(revision) if revision.text.is_none() && found.message.text().is_some() => {
                return Err(ReviseError::NotFound);
            }
            Some(revision) => (revision.seq, revision.at),
            None => (now.entry.seq, now.entry.at),
        };
        Ok(Revised { message: found.message.id, conversation: now.entry.conversation, seq, at })
    }
}

/// A message, and the side of the person who revises it.
struct Found {
    conversation: Conversation,
    entry: Entry,
    message: Message,
    target: Target,
    side: Side,
}
