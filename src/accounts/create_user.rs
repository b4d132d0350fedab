//! Creates an account (admins).

use super::Accounts;
use super::fields::{Name, NewPassword};
use super::register::RegisterError;
use crate::domain::{AccountStatus, Email, PendingCodes, Profile, Role, User, UserId};
use crate::store::NewUser;

/// An account that an admin wants made.
#[derive(Debug)]
pub struct CreateUser {
    /// What they are called.
    pub name: Name,
    /// Where their mail goes.
    pub email: Email,
    /// What will open the account.
    pub password: NewPassword,
    /// What they may do.
    pub role: Role,
    /// Whether they may come in.
    pub status: AccountStatus,
}

impl Accounts {
    /// Makes an account; no mail is sent.
    ///
    /// # Errors
    /// [`RegisterError`], though never `TooManyTries`.
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
