//! Exchanges a password for a pair of tokens, for the storefront and the portal.

use std::fmt;

use super::Accounts;
use super::log_in::{LogIn, LogInError};
use crate::auth::TokenPair;
use crate::domain::{Email, EmailError, User};
use crate::limits::Route;
use crate::store::UserKey;

/// A request to log in.
pub struct SignIn {
    /// Their e-mail address, or their username.
    pub login: String,
    /// The password.
    pub password: String,
    /// Where it comes from.
    pub from: Option<Route>,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignIn(..)")
    }
}

/// A successful log-in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The account.
    pub user: User,
    /// The tokens.
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

    /// The address for a login. An unknown username yields an address that no account has, so that the request fails like one with a wrong
    /// password, and takes as long.
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

/// The username that dialects show: the account's own, or the local part of the address.
#[must_use]
pub fn username(user: &User) -> &str {
    match (&user.profile.username, &user.email) {
        (Some(username), _) => username,
        (None, Some(email)) => email.local_part(),
        (None, None) => "",
    }
}
