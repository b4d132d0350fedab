//! Authenticates a page that lost its connection, by the signed binding that it got when it authenticated first.

use std::time::Duration;

use super::Accounts;
use super::identify::{Identified, IdentifyError};
use crate::auth::{Binding, TokenError};
use crate::domain::{AccountStatus, Timestamp, TokenStamp, UserId};

impl Accounts {
    /// Binds a page to the owner of a token, which expires at `expires_at`.
    #[must_use]
    pub fn bind_page(&self, page: &str, user: UserId, token: TokenStamp, expires_at: Timestamp) -> String {
        let binding = Binding { user, bound_at: self.parts.clock.now(), expires_at, token };
        self.parts.tokens.sign_binding(page, &binding)
    }

    /// Finds the person that a page was bound to, if that was at most `within` ago. As with a token, what they are allowed to do is read
    /// from the account.
    ///
    /// # Errors
    /// [`IdentifyError`].
    pub async fn identify_page(&self, page: &str, signed: &str, within: Duration) -> Result<Identified, IdentifyError> {
        let binding = self.parts.tokens.verify_binding(page, signed).ok_or(TokenError::Invalid)?;
        let now = self.parts.clock.now();
        if binding.expires_at <= now || binding.bound_at.after(within) <= now {
            return Err(TokenError::Expired.into());
        }
        let user = self.parts.users.user(binding.user).await?.ok_or(IdentifyError::Gone)?;
        if user.status != AccountStatus::Active {
            return Err(IdentifyError::Blocked);
        }
        self.parts.bans.check_person(user.id)?;
        if !user.sessions.accepts(&binding.token) {
            return Err(TokenError::Invalid.into());
        }
        Ok(Identified { user, expires_at: binding.expires_at, token: binding.token })
    }
}
