//! Creates an account, for an admin.

use super::Accounts;
use super::fields::{Name, NewPassword};
use super::register::RegisterError;
use crate::domain::{AccountStatus, Email, PendingCodes, Profile, Role, User, UserId};
use crate::store::NewUser;

/// A request to create an account.
#[derive(Debug)]
pub struct CreateUser {
    /// Their name.
    pub name: Name,
    /// Their address.
    pub email: Email,
    /// Their password.
    pub password: NewPassword,
    /// What they are allowed to do.
    pub role: Role,
    /// Whether the account can be used.
    pub status: AccountStatus,
}

impl Accounts {
    /// Creates an account. No mail is sent.
    ///
    /// # Errors
    /// [`RegisterError`], though never `TooManyTries` or `UsernameTaken`.
    #[tracing::instrument(name = "accounts.create_user", skip_all)]
    pub async fn create_user(&self, ask: CreateUser) -> Result<User, RegisterError> {
        let password_hash = self.parts.passwords.hash(ask.password.into_string()).await?;
        let now = self.parts.clock.now();
        let new = NewUser {
            id: UserId::generate(now),
            name: ask.name.into_string(),
            email: Some(ask.email),
            password_hash: Some(password_hash),
            role: ask.role,
            status: ask.status,
            pending_codes: PendingCodes::new(),
            profile: Profile::default(),
            at: now,
        };
        Ok(self.parts.users.create_user(new).await?)
    }
}
