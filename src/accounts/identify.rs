//! Finds the account of a token.

use crate::auth::{Subject, TokenError};
use crate::domain::{AccountStatus, Timestamp, TokenStamp, User};
use crate::limits::StillBanned;
use crate::store::{StoreError, UserKey};

use super::Accounts;

/// Somebody whose token is good and whose account may be used.
#[derive(Debug, Clone)]
pub struct Identified {
    /// The account as it is now: its role is what they may do.
    pub user: User,
    /// From this moment on they have to show another token.
    pub expires_at: Timestamp,
    /// Which token it was: kept with a connection, it tells whether the token still counts.
    pub token: TokenStamp,
}

/// Why nobody was identified.
#[derive(Debug, thiserror::Error)]
pub enum IdentifyError {
    /// The token is missing, expired or invalid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The account is blocked, or not confirmed any more.
    #[error("the account is not active")]
    Blocked,
    /// Whoever it is is shut out for a time.
    #[error(transparent)]
    Banned(#[from] StillBanned),
    /// The account is not there any more.
    #[error("the account does not exist any more")]
    Gone,
    /// The store failed; the token may be good.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Whom a bare token names, if it is good. Looks nothing up: the account may be blocked or gone.
    #[must_use]
    pub fn subject_of(&self, token: &str) -> Option<Subject> {
        self.parts.tokens.verify(token, self.parts.clock.now()).ok().map(|identity| identity.subject)
    }

    /// Tells whose bare token this is. One that was issued before the account's sessions were ended, or was logged out, is
    /// as good as none. Rights come from the account as the store has it now, not from the token.
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
