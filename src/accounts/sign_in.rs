//! Exchanges a password for a pair of tokens, for the storefront and the portal.

use std::fmt;

use super::Accounts;
use super::log_in::{LogIn, LogInError};
use crate::auth::TokenPair;
use crate::domain::{Email, EmailError, User};
use crate::limits::Route;
use crate::store::UserKey;

/// Somebody wants in.
pub struct SignIn {
    /// Their e-mail address, or their username.
    pub login: String,
    /// With which password.
    pub password: String,
    /// From where.
    pub from: Option<Route>,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignIn(..)")
    }
}

/// Somebody is in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// What proves it from now on.
    pub tokens: TokenPair,
}

impl Accounts {
    /// Exchanges a password for a pair of tokens.
    ///
    /// # Errors
    /// [`LogInError`], in the same cases as [`log_in`](Self::log_in).
    #[tracing::instrument(name = "accounts.sign_in", skip_all)]
    pub async fn sign_in(&self, ask: SignIn) -> Result<SignedIn, LogInError> {
        // As in `log_in`: before the account is read.
        let now = self.parts.clock.now();
        let email = self.email_of(&ask.login).await?;
        let user = self.check_password(LogIn { email, password: ask.password, from: ask.from }).await?;
        let tokens = self.parts.tokens.issue_pair(&user, username(&user), now);
        Ok(SignedIn { user, tokens })
    }

    /// The address that somebody logs in with. A username that is nobody's gives one that is nobody's, so that it is
    /// answered, and takes as long, like a wrong password.
    pub(super) async fn email_of(&self, login: &str) -> Result<Email, LogInError> {
        let login = login.trim();
        if login.contains('@') {
            return login.parse().map_err(|_: EmailError| LogInError::Wrong);
        }
        let user = self.parts.users.find_user(UserKey::Username(login)).await?;
        match user.and_then(|user| user.email) {
            Some(email) => Ok(email),
            None => format!("{}@username.invalid", login.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
                .parse()
                .map_err(|_: EmailError| LogInError::Wrong),
        }
    }
}

/// The name under which somebody is known to dialects that have usernames: their own, or the beginning of their address.
#[must_use]
pub fn username(user: &User) -> &str {
    match &user.profile.username {
        Some(username) => username,
        None => user.email_text().split('@').next().unwrap_or_default(),
    }
}
