//! Deletes an account, for an admin.

use super::Accounts;
use crate::domain::UserId;
use crate::store::StoreError;

/// A request to delete an account.
#[derive(Debug)]
pub struct DeleteUser {
    /// The admin.
    pub by: UserId,
    /// The account.
    pub id: UserId,
}

/// Why an account was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteUserError {
    /// There is no account with this id.
    #[error("no such account")]
    NotFound,
    /// It is the admin's own account.
    #[error("admins cannot delete their own account")]
    OwnAccount,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Deletes an account; its messages stay. Its open connections are revalidated.
    ///
    /// # Errors
    /// [`DeleteUserError`].
    #[tracing::instrument(name = "accounts.delete_user", skip_all, fields(user.id = %ask.id))]
    pub async fn delete_user(&self, ask: DeleteUser) -> Result<(), DeleteUserError> {
        if ask.by == ask.id {
            return Err(DeleteUserError::OwnAccount);
        }
        if !self.parts.users.delete_user(ask.id).await? {
            return Err(DeleteUserError::NotFound);
        }
        self.announce_change(ask.id);
        Ok(())
    }
}
