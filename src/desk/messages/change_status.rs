//! Closes or reopens a conversation.

use std::sync::Arc;

use super::Messages;
use super::SendMessageError;
use crate::domain::{ConversationId, DraftKind, Members, Person, Side, Status};
use crate::store::StoreError;

/// Why a status was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeStatusError {
    /// There is no such conversation with the desk.
    #[error("no such conversation")]
    NotFound,
    /// Only agents may change it.
    #[error("only agents may change the status")]
    Forbidden,
    /// The change was not stored.
    #[error(transparent)]
    Append(#[from] SendMessageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Messages {
    /// Sets the status of a support conversation. Returns once it is durable and published. The same status again changes nothing.
    ///
    /// # Errors
    /// [`ChangeStatusError`] if it is refused, or the store fails.
    pub async fn change_status(
        &self,
        agent: &Arc<Person>,
        id: ConversationId,
        status: Status,
    ) -> Result<(), ChangeStatusError> {
        if !agent.role.is_agent() {
            return Err(ChangeStatusError::Forbidden);
        }
        self.set_status(agent, id, Side::Desk, status).await
    }

    #[tracing::instrument(level = "debug", name = "desk.change_status", skip_all, fields(
        user.id = %author.id, conversation.id = %id, status = ?status
    ))]
    pub(in crate::desk) async fn set_status(
        &self,
        author: &Arc<Person>,
        id: ConversationId,
        side: Side,
        status: Status,
    ) -> Result<(), ChangeStatusError> {
        let conversation = self.0.directory.conversation(id).await?.ok_or(ChangeStatusError::NotFound)?;
        if !matches!(conversation.members, Members::Support { .. }) {
            return Err(ChangeStatusError::NotFound);
        }
        let change = DraftKind::ChangeStatus { status };
        let submission = self.0.log.prepare(conversation, side, author.clone(), change).await?;
        self.0.log.append(submission).await.map_err(SendMessageError::from)?;
        Ok(())
    }
}
