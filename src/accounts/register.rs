//! Somebody makes an account for themselves.

use std::sync::Arc;

use super::codes;
use super::fields::{Name, NewPassword};
use super::{Accounts, throttle::TooManyTries};
use crate::auth::PasswordError;
use crate::domain::{AccountStatus, CodePurpose, Email, Role, UserId};
use crate::store::{NewUser, SaveUserError, StoreError};

/// Somebody wants an account.
#[derive(Debug)]
pub struct Register {
    /// What they are called.
    pub name: Name,
    /// Where their mail goes.
    pub email: Email,
    /// What will open the account.
    pub password: NewPassword,
}

/// Why there is no new account.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Another account has this address.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// Too many mails were asked for to this address.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SaveUserError> for RegisterError {
    fn from(error: SaveUserError) -> Self {
        match error {
            SaveUserError::EmailTaken => Self::EmailTaken,
            SaveUserError::Store(error) => Self::Store(error),
        }
    }
}

impl Accounts {
    /// Makes a customer's account, closed until the mailed link is followed. That the mail was sent is not waited for.
    ///
    /// # Errors
    /// [`RegisterError`].
    #[tracing::instrument(name = "accounts.register", skip_all)]
    pub async fn register(self: &Arc<Self>, ask: Register) -> Result<(), RegisterError> {
        if self.parts.users.user_by_email(&ask.email).await?.is_some() {
            return Err(RegisterError::EmailTaken);
        }
        let now = self.parts.clock.now();
        self.mails.attempt(&ask.email, now)?;
        let password_hash = self.parts.passwords.hash(ask.password.into_string()).await?;
        let (code, pending_code) = codes::fresh(CodePurpose::VerifyEmail, now);
        let new = NewUser {
            id: UserId::generate(now),
            name: ask.name.into_string(),
            email: Some(ask.email.clone()),
            password_hash: Some(password_hash),
            role: Role::Customer,
            status: AccountStatus::Unverified,
            pending_code: Some(pending_code),
            at: now,
        };
        let user = self.parts.users.create_user(new).await?;
        let accounts = Arc::clone(self);
        self.post.run(async move {
            let mail = accounts.code_mail(&ask.email, CodePurpose::VerifyEmail, &code);
            accounts.post.send(user.id, mail).await;
        });
        Ok(())
    }
}
