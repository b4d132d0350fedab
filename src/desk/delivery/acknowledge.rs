//! A client names what it has received.

use super::Delivery;
use crate::domain::{ConversationId, Person, Seq};
use crate::store::StoreError;

/// Why an acknowledgement was refused.
#[derive(Debug, thiserror::Error)]
pub enum AcknowledgeError {
    /// There is no such conversation, or it is none of theirs.
    #[error("no such conversation")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Delivery {
    /// Everything up to `up_to` has arrived at a client of this person. A seq that was never sent to them is ignored.
    ///
    /// # Errors
    /// [`AcknowledgeError`] if it is refused, or the store fails.
    #[tracing::instrument(level = "debug", name = "desk.acknowledge", skip_all, fields(
        user.id = %person.id, conversation.id = %id, up_to = up_to.get()
    ))]
    pub async fn acknowledge(&self, person: &Person, id: ConversationId, up_to: Seq) -> Result<(), AcknowledgeError> {
        let conversation = self.0.directory.conversation(id).await?.ok_or(AcknowledgeError::NotFound)?;
        let side = conversation.members.side_of_person(person).ok_or(AcknowledgeError::NotFound)?;
        let sent = self.sent_up_to(person.id, id).await?.unwrap_or_default();
        let received = up_to.min(sent);
        self.confirm(person.id, id, received);
        self.0.receipts.received((id, side), received);
        Ok(())
    }
}
