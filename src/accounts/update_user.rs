//! Changes an account, for an admin.

use super::Accounts;
use super::fields::{Name, NewPassword};
use crate::auth::PasswordError;
use crate::domain::{AccountStatus, Email, Role, User, UserId};
use crate::store::{CodesChange, SaveUserError, StoreError, UserChange};

/// A request to change an account; `None` leaves a field as it is.
#[derive(Debug)]
pub struct UpdateUser {
    /// The admin.
    pub by: UserId,
    /// The account.
    pub id: UserId,
    /// A new name.
    pub name: Option<Name>,
    /// A new address.
    pub email: Option<Email>,
    /// A new password.
    pub password: Option<NewPassword>,
    /// A new role.
    pub role: Option<Role>,
    /// A new status.
    pub status: Option<AccountStatus>,
}

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateUserError {
    /// There is no account with this id.
    #[error("no such account")]
    NotFound,
    /// The admin would lock themselves out.
    #[error("admins cannot remove their own rights")]
    OwnRights,
    /// Another account has this address.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Changes an account, and returns the changed account. Its open connections are revalidated.
    ///
    /// A new password or address invalidates mailed codes.
    ///
    /// # Errors
    /// [`UpdateUserError`].
    #[tracing::instrument(name = "accounts.update_user", skip_all, fields(user.id = %ask.id))]
    pub async fn update_user(&self, ask: UpdateUser) -> Result<User, UpdateUserError> {
        let loses_role = ask.role.is_some_and(|role| role != Role::Admin);
        let loses_access = ask.status.is_some_and(|status| status != AccountStatus::Active);
        if ask.by == ask.id && (loses_role || loses_access) {
            return Err(UpdateUserError::OwnRights);
        }
        let voids_codes = ask.password.is_some() || ask.email.is_some();
        let password_hash = match ask.password {
            Some(password) => Some(self.parts.passwords.hash(password.into_string()).await?),
            None => None,
        };
        let change = UserChange {
            name: ask.name.map(Name::into_string),
            email: ask.email,
            password_hash,
            role: ask.role,
            status: ask.status,
            codes: if voids_codes { CodesChange::RemoveAll } else { CodesChange::Keep },
            ..UserChange::default()
        };
        let updated = self.parts.users.update_user(ask.id, change, self.parts.clock.now()).await;
        let user = updated.map_err(|error| match error {
            SaveUserError::EmailTaken | SaveUserError::UsernameTaken => UpdateUserError::EmailTaken,
            SaveUserError::Store(error) => UpdateUserError::Store(error),
        })?;
        let user = user.ok_or(UpdateUserError::NotFound)?;
        self.announce_change(user.id);
        Ok(user)
    }
}
