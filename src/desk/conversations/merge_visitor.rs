//! Merges a visitor into an account, which takes over the visitor's conversation.

use std::sync::Arc;

use super::Conversations;
use crate::desk::messages::ChangeStatusError;
use crate::domain::{Members, Person, Side, Status};
use crate::presence::Revoked;

impl Conversations {
    /// Moves a visitor's conversation to the account. If the account already has one, the visitor's is closed instead: two logs are never
    /// mixed, since each has its own seqs.
    ///
    /// # Errors
    /// [`ChangeStatusError`], if the store fails.
    #[tracing::instrument(level = "debug", name = "desk.merge_visitor", skip_all, fields(visitor.id = %visitor.id, user.id = %account.id))]
    pub async fn merge_visitor(&self, visitor: &Arc<Person>, account: &Arc<Person>) -> Result<(), ChangeStatusError> {
        let conversations = &self.0.store;
        let members = Members::Support { customer: visitor.id };
        let Some(conversation) = conversations.find(members).await? else { return Ok(()) };
        if conversations.reassign(conversation.id, account.id).await? {
            self.0.directory.forget_conversation(conversation).await;
        } else {
            self.0.messages.set_status(visitor, conversation.id, Side::Customer, Status::Closed).await?;
        }
        // The visitor's open sockets would continue to write as the visitor.
        self.0.attendance.revoke(visitor.id, Revoked::RoleChanged);
        Ok(())
    }
}
