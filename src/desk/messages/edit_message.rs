//! To have a message say something else, or to take it back.

use std::sync::Arc;

use crate::desk::Desk;
use crate::desk::log::Submission;
use crate::desk::messages::SendMessageError;
use crate::domain::{
    ConnectionId, ConversationId, Draft, DraftKind, Entry, Members, Message, MessageBody, MessageId, Person, Seq, Side,
    Target, Timestamp,
};
use crate::store::StoreError;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revised {
    /// Which message.
    pub message: MessageId,
    /// Where.
    pub conversation: ConversationId,
    /// The entry that did it: an earlier one, if this was no news.
    pub seq: Seq,
    /// When that was.
    pub at: Timestamp,
}

/// Why a message stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ReviseError {
    /// There is no such message, or it is in none of the person's conversations, or it was deleted.
    #[error("no such message")]
    NotFound,
    /// Only its author may, and an agent may delete.
    #[error("the message is somebody else's")]
    Forbidden,
    /// It cannot be kept, for the same reasons as a message.
    #[error(transparent)]
    Append(#[from] SendMessageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Desk {
    /// Has a message of the author's own say something else; returns once that is durable and told. The same text again is
    /// no news, so that a retry is answered as the first time.
    ///
    /// # Errors
    /// [`ReviseError`] says why not.
    pub async fn edit_message(
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
        let body = MessageBody::parse(text, self.0.settings.max_message_chars).map_err(SendMessageError::from)?;
        let edit = DraftKind::Edit { target: found.target, body };
        match self.revise(author, &found, edit, origin).await? {
            Some(revised) => Ok(revised),
            None => self.revised_before(author, found).await,
        }
    }

    /// Takes a message back: the author's own, or for an agent any of a conversation with the desk. Returns once that is
    /// durable and told; what was deleted before is no news.
    ///
    /// # Errors
    /// [`ReviseError`] says why not.
    pub async fn delete_message(
        &self,
        author: &Arc<Person>,
        id: MessageId,
        origin: Option<ConnectionId>,
    ) -> Result<Revised, ReviseError> {
        let found = self.find_message(author, id).await?;
        let may_delete = found.entry.author == author.id || (found.is_support && found.side == Side::Desk);
        if !may_delete {
            return Err(ReviseError::Forbidden);
        }
        match self.revise(author, &found, DraftKind::Delete { target: found.target }, origin).await? {
            Some(revised) => Ok(revised),
            None => self.revised_before(author, found).await,
        }
    }

    /// The message, if it is of a conversation of this person's.
    async fn find_message(&self, person: &Person, id: MessageId) -> Result<Found, ReviseError> {
        let entry = self.0.stores.conversations.message(id).await?.ok_or(ReviseError::NotFound)?;
        let conversation = self.0.directory.conversation(entry.conversation).await?.ok_or(ReviseError::NotFound)?;
        let side = conversation.members.side_of(person.id, person.role.is_agent()).ok_or(ReviseError::NotFound)?;
        let is_support = matches!(conversation.members, Members::Support { .. });
        let (Some(message), Some(target)) = (entry.message().cloned(), entry.as_target()) else {
            return Err(ReviseError::NotFound);
        };
        Ok(Found { entry, message, target, side, is_support })
    }

    /// `None` if it is no news.
    async fn revise(
        &self,
        author: &Arc<Person>,
        found: &Found,
        kind: DraftKind,
        origin: Option<ConnectionId>,
    ) -> Result<Option<Revised>, ReviseError> {
        self.0.limits.take(author.id).map_err(SendMessageError::RateLimited)?;
        let id = found.entry.conversation;
        let conversation = self.0.directory.conversation(id).await?.ok_or(ReviseError::NotFound)?;
        let submission = Submission {
            draft: Draft { conversation: id, author: author.id, side: found.side, at: self.0.clock.now(), kind },
            parties: self.0.directory.parties(conversation).await?,
            author: author.clone(),
            origin,
            attachment_path: self.attachment_path(&found.message),
            waiting: None,
        };
        let sent = self.append(submission).await?;
        Ok(sent.map(|sent| {
            let entry = &sent.told.entry;
            Revised { message: found.message.id, conversation: id, seq: entry.seq, at: entry.at }
        }))
    }

    /// What became of the message before: somebody was faster, or it has said this from the beginning.
    async fn revised_before(&self, person: &Person, found: Found) -> Result<Revised, ReviseError> {
        let now = self.find_message(person, found.message.id).await?;
        let (seq, at) = match now.message.revision {
            // It was deleted while it waited to be edited.
            Some(revision) if revision.text.is_none() && found.message.text().is_some() => {
                return Err(ReviseError::NotFound);
            }
            Some(revision) => (revision.seq, revision.at),
            None => (now.entry.seq, now.entry.at),
        };
        Ok(Revised { message: found.message.id, conversation: now.entry.conversation, seq, at })
    }
}

/// A message, and on which side somebody stands to it.
struct Found {
    entry: Entry,
    message: Message,
    target: Target,
    side: Side,
    is_support: bool,
}
