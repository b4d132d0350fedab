//! Exchanges a refresh token for a new pair. It stays valid for its lifetime, since pages of the replaced products never store
//! the next one.

use super::Accounts;
use super::identify::Identified;
use super::sign_in::{SignedIn, username};
use crate::auth::{Subject, TokenError};
use crate::domain::AccountStatus;
use crate::limits::StillBanned;
use crate::store::{StoreError, UserKey};

/// Why a refresh was refused.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token was not issued by this server, has expired, or belongs to an account that is not in use.
    #[error("the refresh token is not valid")]
    Invalid,
    /// The account is banned.
    #[error(transparent)]
    Banned(#[from] StillBanned),
    /// The store failed; the token may still be valid.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TokenError> for RefreshError {
    fn from(_: TokenError) -> Self {
        Self::Invalid
    }
}

impl Accounts {
    /// Issues another pair for a refresh token.
    ///
    /// # Errors
    /// [`RefreshError`].
    #[tracing::instrument(name = "accounts.refresh", skip_all)]
    pub async fn refresh(&self, token: &str) -> Result<SignedIn, RefreshError> {
        // As in `log_in`: before the account is read.
        let now = self.parts.clock.now();
        let user = self.holder_of(token).await?.user;
        let tokens = self.parts.tokens.issue_pair(&user, username(&user), now);
        Ok(SignedIn { user, tokens })
    }

    /// The owner of a refresh token, if the account is in use and the session has not ended.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn holder_of(&self, refresh_token: &str) -> Result<Identified, RefreshError> {
        let named = self.parts.tokens.verify_refresh(refresh_token, self.parts.clock.now())?;
        let user = match named.subject {
            Subject::Id(id) => self.parts.users.user(id).await?,
            Subject::Number(number) => self.parts.users.find_user(UserKey::Number(number)).await?,
        };
        let user = user.filter(|user| user.status == AccountStatus::Active && user.sessions.accepts(&named.token));
        let user = user.ok_or(RefreshError::Invalid)?;
        self.parts.bans.check_person(user.id)?;
        Ok(Identified { user, expires_at: named.expires_at, token: named.token })
    }
}
