//! Finds the account of a token.

use crate::auth::{Subject, TokenError};
use crate::domain::{AccountStatus, Timestamp, TokenStamp, User};
use crate::limits::StillBanned;
use crate::store::{StoreError, UserKey};

use super::Accounts;

/// The owner of a valid token.
#[derive(Debug, Clone)]
pub struct Identified {
    /// The account as it is now: its role is what they may do.
    pub user: User,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// Identifies the token, so that an open connection can be revalidated.
    pub token: TokenStamp,
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum IdentifyError {
    /// The token is missing, expired or invalid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The account is not active.
    #[error("the account is not active")]
    Blocked,
    /// The person is banned.
    #[error(transparent)]
    Banned(#[from] StillBanned),
    /// The account was deleted.
    #[error("the account does not exist any more")]
    Gone,
    /// The store failed; the token may be valid.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// The subject of a valid bare token. Does not read the account, which may be blocked or deleted.
    #[must_use]
    pub fn subject_of(&self, token: &str) -> Option<Subject> {
        self.parts.tokens.verify(token, self.parts.clock.now()).ok().map(|identity| identity.subject)
    }

    /// Finds the owner of a bare token. Revoked tokens are rejected. What the owner is allowed to do is read from the account, not from the
    /// token.
    ///
    /// # Errors
    /// [`IdentifyError`].
    pub async fn identify(&self, token: &str) -> Result<Identified, IdentifyError> {
        let identity = self.parts.tokens.verify(token, self.parts.clock.now())?;
        let user = match identity.subject {
            Subject::Id(id) => self.parts.users.user(id).await?,
            Subject::Number(number) => self.parts.users.find_user(UserKey::Number(number)).await?,
        };
        let user = user.ok_or(IdentifyError::Gone)?;
        if user.status != AccountStatus::Active {
            return Err(IdentifyError::Blocked);
        }
        self.parts.bans.check_person(user.id)?;
        if !user.sessions.accepts(&identity.token) {
            return Err(TokenError::Invalid.into());
        }
        Ok(Identified { user, expires_at: identity.expires_at, token: identity.token })
    }
}
