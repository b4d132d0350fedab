//! To mark as read what one has been shown.

use std::sync::Arc;

use crate::desk::Desk;
use crate::desk::log::Submission;
use crate::desk::messages::SendMessageError;
use crate::domain::{ConnectionId, Conversation, ConversationId, Draft, DraftKind, Person, Seq, UserId};
use crate::store::StoreError;

/// What shall count as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkRead {
    /// All that has been delivered to the reader of what this person (or the desk, for an agent's id) said.
    From(UserId),
    /// Everything in this conversation up to an entry the reader names, or all that has been delivered to them.
    In(ConversationId, Option<Seq>),
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum MarkReadError {
    /// There is no such person or conversation, or it is none of the reader's.
    #[error("no such conversation")]
    NotFound,
    /// It was not kept.
    #[error(transparent)]
    NotKept(#[from] SendMessageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Desk {
    /// Marks as read; returns once that is durable and told. Who spoke hears of it, if it is news.
    ///
    /// Nothing counts as read that was never delivered to the reader, whatever came in meanwhile, unless the reader names it:
    /// who claims to have read what they never saw deceives nobody about anybody else.
    ///
    /// # Errors
    /// [`MarkReadError`] says why not.
    pub async fn mark_read(
        &self,
        reader: &Arc<Person>,
        what: MarkRead,
        origin: Option<ConnectionId>,
    ) -> Result<(), MarkReadError> {
        self.0.marks.take(reader.id).map_err(SendMessageError::RateLimited)?;
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
        let delivered = self.delivered(reader.id, conversation.id).await?.unwrap_or_default();
        if let Some(up_to) = named {
            self.confirm(reader.id, conversation.id, up_to.min(delivered));
        }
        let up_to = named.unwrap_or(delivered);
        self.keep_read(reader, conversation, up_to, origin).await
    }

    /// Puts a read mark in line, and waits until it is kept.
    pub(in crate::desk) async fn keep_read(
        &self,
        reader: &Arc<Person>,
        conversation: Conversation,
        up_to: Seq,
        origin: Option<ConnectionId>,
    ) -> Result<(), MarkReadError> {
        let _under_way = self.0.own_marks.begin(reader, conversation.id);
        let mark = self.read_mark(reader, conversation, up_to, origin).await?;
        self.append(mark).await?;
        Ok(())
    }

    /// A read mark that nobody waits for.
    pub(in crate::desk) async fn read_mark(
        &self,
        reader: &Arc<Person>,
        conversation: Conversation,
        up_to: Seq,
        origin: Option<ConnectionId>,
    ) -> Result<Submission, MarkReadError> {
        let side = conversation.members.side_of(reader.id, reader.role.is_agent());
        let side = side.ok_or(MarkReadError::NotFound)?;
        let kind = DraftKind::Read { up_to };
        let draft = Draft { conversation: conversation.id, author: reader.id, side, at: self.0.clock.now(), kind };
        let parties = self.0.directory.parties(conversation).await?;
        Ok(Submission { draft, parties, author: reader.clone(), origin, attachment_path: None, waiting: None })
    }
}
