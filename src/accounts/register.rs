//! Creates one's own account.

use std::sync::Arc;
use std::time::Duration;

use super::codes::{self, MailedCode};
use super::fields::{Name, NewPassword, Username};
use super::{Accounts, throttle::TooManyTries};
use crate::auth::PasswordError;
use crate::domain::{AccountStatus, BirthDate, CodePurpose, Email, PendingCodes, Profile, Role, User, UserId};
use crate::store::{NewUser, SaveUserError, StoreError, UserKey};

/// A request to register.
#[derive(Debug)]
pub struct Register {
    /// Their name.
    pub name: Name,
    /// Their address.
    pub email: Email,
    /// Their password.
    pub password: NewPassword,
    /// Further details.
    pub details: Details,
    /// How they confirm the address.
    pub proof: Proof,
}

/// Details that some dialects ask for.
#[derive(Debug, Default)]
pub struct Details {
    /// A name to log in with.
    pub username: Option<Username>,
    /// Empty for none.
    pub phone: String,
    /// `None` if it was not given.
    pub birth_date: Option<BirthDate>,
}

/// What is mailed to confirm the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A link, valid for a day.
    Link,
    /// Six digits, valid for ten minutes.
    Digits,
}

/// How long digits are valid.
const LIFETIME: Duration = Duration::from_mins(10);

/// Why no account was created.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Another account has this address.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// Another account has this username.
    #[error("another account has this username")]
    UsernameTaken,
    /// Too many mails were requested for this address.
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
            SaveUserError::UsernameTaken => Self::UsernameTaken,
            SaveUserError::Store(error) => Self::Store(error),
        }
    }
}

impl Accounts {
    /// Creates a customer's account, which is inactive until the address is confirmed. The mail is sent in the background.
    ///
    /// # Errors
    /// [`RegisterError`].
    #[tracing::instrument(name = "accounts.register", skip_all)]
    pub async fn register(self: &Arc<Self>, ask: Register) -> Result<User, RegisterError> {
        if self.parts.users.find_user(UserKey::Email(&ask.email)).await?.is_some() {
            return Err(RegisterError::EmailTaken);
        }
        let Details { username, phone, birth_date } = ask.details;
        let name_parts = ask.name.parts().cloned();
        let username = username.map(Username::into_string);
        if let Some(username) = &username
            && self.parts.users.find_user(UserKey::Username(username)).await?.is_some()
        {
            return Err(RegisterError::UsernameTaken);
        }
        let now = self.parts.clock.now();
        self.mails.attempt(&ask.email, now)?;
        let password_hash = self.parts.passwords.hash(ask.password.into_string()).await?;
        let (code, pending_code) = match ask.proof {
            Proof::Link => MailedCode::VerifyLink.generate(now),
            Proof::Digits => codes::generate_digits(LIFETIME, now),
        };
        let new = NewUser {
            id: UserId::generate(now),
            name: ask.name.into_string(),
            email: Some(ask.email.clone()),
            password_hash: Some(password_hash),
            role: Role::Customer,
            status: AccountStatus::Unverified,
            pending_codes: PendingCodes::from([(CodePurpose::VerifyEmail, pending_code)]),
            profile: Profile { username, name_parts, phone, birth_date, ..Profile::default() },
            at: now,
        };
        let user = self.parts.users.create_user(new).await?;
        let (accounts, id) = (Arc::clone(self), user.id);
        self.mail_queue.run(async move {
            let mail = match ask.proof {
                Proof::Link => accounts.code_mail(&ask.email, MailedCode::VerifyLink, &code),
                Proof::Digits => codes::digits_mail(&ask.email, "confirm your e-mail address", &code, LIFETIME),
            };
            accounts.mail_queue.send(id, mail).await;
        });
        Ok(user)
    }
}
