//! To close a conversation, or open it again, by hand.

use std::sync::Arc;

use crate::desk::Desk;
use crate::desk::log::Submission;
use crate::desk::messages::SendMessageError;
use crate::domain::{ConversationId, Draft, DraftKind, Members, Person, Side, Status};
use crate::store::StoreError;

/// Why a status stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ChangeStatusError {
    /// There is no such conversation with the desk.
    #[error("no such conversation")]
    NotFound,
    /// Only agents may.
    #[error("only agents may change the status")]
    Forbidden,
    /// It was not kept.
    #[error(transparent)]
    Append(#[from] SendMessageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Desk {
    /// Sets the status of a support conversation; returns once it is durable and told. The same status again is no news.
    ///
    /// # Errors
    /// [`ChangeStatusError`] says why not.
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
        let kind = DraftKind::ChangeStatus { status };
        let draft = Draft { conversation: id, author: author.id, side, at: self.0.clock.now(), kind };
        let parties = self.0.directory.parties(conversation).await?;
        self.append(Submission {
            draft,
            parties,
            author: author.clone(),
            origin: None,
            attachment_path: None,
            waiting: None,
        })
        .await?;
        Ok(())
    }
}
