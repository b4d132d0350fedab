//! Exchanges a password for a token.

use std::fmt;

use super::Accounts;
use super::throttle::TooManyTries;
use crate::auth::PasswordError;
use crate::domain::{AccountStatus, Email, Role, User};
use crate::limits::{Route, StillBanned};
use crate::store::{StoreError, UserKey};

/// A request to log in.
pub struct LogIn {
    /// The address of the account.
    pub email: Email,
    /// The password.
    pub password: String,
    /// Where it comes from; `None` if the request is already authenticated.
    pub from: Option<Route>,
}

impl fmt::Debug for LogIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogIn(..)")
    }
}

/// A successful log-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// The token.
    pub token: String,
    /// What they are allowed to do.
    pub role: Role,
    /// Their name.
    pub name: String,
}

/// Why a log-in was refused.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// There is no such account, or the password is wrong.
    #[error("wrong e-mail address or password")]
    Wrong,
    /// The password is right, but the account is blocked.
    #[error("the account is blocked")]
    Blocked,
    /// The password is right, but the person is banned.
    #[error(transparent)]
    Banned(#[from] StillBanned),
    /// The password is right, but the address is not confirmed yet.
    #[error("the e-mail address is not confirmed")]
    Unverified,
    /// Too many wrong passwords for this account from this network address.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// The password could not be checked.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Exchanges a password for a token.
    ///
    /// The password is checked first: only somebody who knows it learns that the account exists, is blocked, or is unconfirmed. Hashes of
    /// the replaced server are left as they are, so that it can use the database again.
    ///
    /// # Errors
    /// [`LogInError`].
    #[tracing::instrument(name = "accounts.log_in", skip_all)]
    pub async fn log_in(&self, ask: LogIn) -> Result<LoggedIn, LogInError> {
        // Taken before the account is read: if the password changes while the old one is being checked, the token is already revoked.
        let now = self.parts.clock.now();
        let user = self.check_password(ask).await?;
        let token = self.parts.tokens.issue_to(&user, now);
        Ok(LoggedIn { token, role: user.role, name: user.name })
    }

    /// Checks a password. Returns the account, if it is active.
    pub(super) async fn check_password(&self, ask: LogIn) -> Result<User, LogInError> {
        self.log_ins.attempt(&ask.email, ask.from, self.parts.clock.now())?;
        let user = self.parts.users.find_user(UserKey::Email(&ask.email)).await?;
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let right = self.parts.passwords.verify(ask.password, hash).await?;
        let user = user.filter(|_| right).ok_or(LogInError::Wrong)?;
        self.log_ins.let_in(&ask.email, ask.from);
        self.parts.bans.check_person(user.id)?;
        match user.status {
            AccountStatus::Blocked => Err(LogInError::Blocked),
            AccountStatus::Unverified => Err(LogInError::Unverified),
            AccountStatus::Active => Ok(user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::testing::Fixture;

    fn ask(email: &str, password: &str) -> LogIn {
        LogIn { email: email.parse().unwrap(), password: password.to_owned(), from: None }
    }

    #[tokio::test]
    async fn only_who_knows_the_password_learns_the_status() {
        let desk = Fixture::new();
        desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        desk.account("blocked@x.test", Role::Customer, AccountStatus::Blocked).await;
        desk.account("unver@x.test", Role::Customer, AccountStatus::Unverified).await;
        for email in ["ann@x.test", "blocked@x.test", "unver@x.test", "nobody@x.test"] {
            assert!(matches!(desk.accounts.log_in(ask(email, "wrong")).await, Err(LogInError::Wrong)), "{email}");
        }
        assert_eq!(desk.accounts.log_in(ask("ann@x.test", "secret1")).await.unwrap().role, Role::Customer);
        let blocked = desk.accounts.log_in(ask("blocked@x.test", "secret1")).await;
        assert!(matches!(blocked, Err(LogInError::Blocked)));
        let unverified = desk.accounts.log_in(ask("unver@x.test", "secret1")).await;
        assert!(matches!(unverified, Err(LogInError::Unverified)));
    }

    #[tokio::test]
    async fn an_old_hash_is_left_as_it_is() {
        let desk = Fixture::new();
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        desk.accounts.log_in(ask("ann@x.test", "secret1")).await.unwrap();
        let hash = desk.user(ann.id).await.password_hash;
        assert!(hash.as_deref().is_some_and(|hash| hash.starts_with("$2b$")));
        assert_eq!(hash, ann.password_hash);
    }

    #[tokio::test]
    async fn ten_wrong_passwords_close_the_door_for_a_minute_also_for_strangers() {
        let desk = Fixture::new();
        desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        for email in ["ann@x.test", "nobody@x.test"] {
            for _ in 0..10 {
                assert!(matches!(desk.accounts.log_in(ask(email, "wrong")).await, Err(LogInError::Wrong)));
            }
            let refused = desk.accounts.log_in(ask(email, "secret1")).await;
            assert!(matches!(refused, Err(LogInError::TooManyTries(_))), "{email}");
        }
        desk.clock.advance(std::time::Duration::from_mins(1));
        desk.accounts.log_in(ask("ann@x.test", "secret1")).await.unwrap();
    }
}
