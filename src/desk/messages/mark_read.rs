//! Marks messages as read.

use std::sync::Arc;

use super::Messages;
use super::SendMessageError;
use crate::desk::log::Submission;
use crate::domain::{ConnectionId, Conversation, ConversationId, DraftKind, Person, Seq, UserId};
use crate::store::StoreError;

/// What to mark as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkRead {
    /// Everything from this person (or from the desk, for an agent's id) that was sent to the reader.
    From(UserId),
    /// Everything in this conversation up to an entry that the reader names, or all that was sent to them.
    In(ConversationId, Option<Seq>),
}

/// Why nothing was marked as read.
#[derive(Debug, thiserror::Error)]
pub enum MarkReadError {
    /// There is no such person or conversation, or it is none of the reader's.
    #[error("no such conversation")]
    NotFound,
    /// The change was not stored.
    #[error(transparent)]
    Append(#[from] SendMessageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Messages {
    /// Marks messages as read. Returns once the mark is durable and published to their authors.
    ///
    /// Only messages that were sent to the reader are marked, unless the reader names a seq.
    ///
    /// # Errors
    /// [`MarkReadError`] if it is refused, or the store fails.
    #[tracing::instrument(level = "debug", name = "desk.mark_read", skip_all, fields(
        user.id = %reader.id, what = ?what, connection.id = origin.map(tracing::field::display)
    ))]
    pub async fn mark_read(
        &self,
        reader: &Arc<Person>,
        what: MarkRead,
        origin: Option<ConnectionId>,
    ) -> Result<(), MarkReadError> {
        self.0.mark_rate.take(reader.id).map_err(SendMessageError::RateLimited)?;
        let (conversation, named) = match what {
            MarkRead::From(user) => {
                let members = self.0.directory.members_with(reader, user).await?.ok_or(MarkReadError::NotFound)?;
                let found = self.0.directory.find(members).await?;
                (found.ok_or(MarkReadError::NotFound)?, None)
            }
            MarkRead::In(id, named) => {
                let found = self.0.directory.conversation(id).await?;
                (found.ok_or(MarkReadError::NotFound)?, named)
            }
        };
        let _under_way = self.0.own_marks.begin(reader, conversation.id);
        let delivered = self.0.delivery.sent_up_to(reader.id, conversation.id).await?.unwrap_or_default();
        if let Some(up_to) = named {
            self.0.delivery.confirm(reader.id, conversation.id, up_to.min(delivered));
        }
        let up_to = named.unwrap_or(delivered);
        self.append_mark(reader, conversation, up_to, origin).await
    }

    /// Marks everything in a conversation as read by a person's side. Returns how many messages that were.
    ///
    /// # Errors
    /// [`MarkReadError`] if it is refused, or the store fails.
    #[tracing::instrument(level = "debug", name = "desk.mark_all_read", skip_all, fields(user.id = %reader.id, conversation.id = %id))]
    pub async fn mark_all_read(&self, reader: &Arc<Person>, id: ConversationId) -> Result<u64, MarkReadError> {
        let summary = self.0.store.summary(id).await?.ok_or(MarkReadError::NotFound)?;
        let conversation = summary.conversation;
        let side = conversation.members.side_of_person(reader);
        let unread = summary.side(side.ok_or(MarkReadError::NotFound)?).unread;
        let _under_way = self.0.own_marks.begin(reader, conversation.id);
        self.append_mark(reader, conversation, summary.last_seq, None).await?;
        Ok(unread)
    }

    /// Marks a conversation as read without waiting for the outcome, which only the reader's next list waits for.
    pub(in crate::desk) async fn mark_read_later(
        &self,
        reader: &Arc<Person>,
        conversation: Conversation,
        up_to: Seq,
    ) -> Result<(), StoreError> {
        let mark = match self.read_mark(reader, conversation, up_to, None).await {
            Ok(mark) => mark,
            Err(MarkReadError::NotFound | MarkReadError::Append(_)) => return Ok(()),
            Err(MarkReadError::Store(error)) => return Err(error),
        };
        let under_way = self.0.own_marks.begin(reader, conversation.id);
        let outcome = self.0.log.append(mark);
        self.0.tasks.spawn(async move {
            // A failure is logged where it happens.
            drop(outcome.await);
            drop(under_way);
        });
        Ok(())
    }

    /// Appends a read mark, and waits until it is durable.
    async fn append_mark(
        &self,
        reader: &Arc<Person>,
        conversation: Conversation,
        up_to: Seq,
        origin: Option<ConnectionId>,
    ) -> Result<(), MarkReadError> {
        let mark = self.read_mark(reader, conversation, up_to, origin).await?;
        self.0.log.append(mark).await.map_err(SendMessageError::from)?;
        Ok(())
    }

    async fn read_mark(
        &self,
        reader: &Arc<Person>,
        conversation: Conversation,
        up_to: Seq,
        origin: Option<ConnectionId>,
    ) -> Result<Submission, MarkReadError> {
        let side = conversation.members.side_of_person(reader);
        let side = side.ok_or(MarkReadError::NotFound)?;
        let mark = self.0.log.prepare(conversation, side, reader.clone(), DraftKind::Read { up_to }).await?;
        Ok(mark.with_origin(origin))
    }
}
