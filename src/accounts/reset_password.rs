//! Sets a new password with a mailed code.

use super::Accounts;
use super::codes::RedeemError;
use super::fields::NewPassword;
use crate::auth::PasswordError;
use crate::domain::{AccountStatus, CodePurpose, Email};
use crate::store::{StoreError, UserChange};

/// A request to set a new password with a mailed code.
#[derive(Debug)]
pub struct ResetPassword {
    /// The address it was mailed to.
    pub email: Email,
    /// The code.
    pub code: String,
    /// The new password.
    pub password: NewPassword,
}

/// Why the password was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ResetPasswordError {
    /// The code is not valid.
    #[error("the code is not valid")]
    Invalid,
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store failed; the code may still be valid.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Sets a new password. The code was mailed, so it also confirms the address.
    ///
    /// # Errors
    /// [`ResetPasswordError`].
    #[tracing::instrument(name = "accounts.reset_password", skip_all)]
    pub async fn reset_password(&self, ask: ResetPassword) -> Result<(), ResetPasswordError> {
        // Hashed before the code is checked: a failure must not use up the code, and the response time must not reveal the account.
        let password_hash = self.parts.passwords.hash(ask.password.into_string()).await?;
        let change = UserChange {
            password_hash: Some(password_hash),
            status: Some(AccountStatus::Active),
            ..UserChange::default()
        };
        let redeemed = self.redeem(&ask.email, CodePurpose::ResetPassword, &ask.code, change).await;
        redeemed.map_err(|error| match error {
            RedeemError::Invalid => ResetPasswordError::Invalid,
            RedeemError::Store(error) => ResetPasswordError::Store(error),
        })?;
        self.log_ins.forgive(&ask.email);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::accounts::forgot_password::ForgotPassword;
    use crate::accounts::log_in::LogIn;
    use crate::accounts::testing::Fixture;
    use crate::domain::Role;

    fn ask(code: &str) -> ResetPassword {
        let password = NewPassword::parse("another1".into()).unwrap();
        ResetPassword { email: "ann@x.test".parse().unwrap(), code: code.to_owned(), password }
    }

    fn forgot(desk: &Fixture, email: &str) {
        desk.accounts.forgot_password(ForgotPassword { email: email.parse().unwrap() });
    }

    #[tokio::test]
    async fn the_mailed_code_sets_a_password_once() {
        let mut desk = Fixture::new();
        desk.account("ann@x.test", Role::Customer, AccountStatus::Unverified).await;
        forgot(&desk, "ann@x.test");
        let code = desk.mailed("token=").await;
        desk.accounts.reset_password(ask(&code)).await.unwrap();
        let log_in =
            |password: &str| LogIn { email: "ann@x.test".parse().unwrap(), password: password.to_owned(), from: None };
        desk.accounts.log_in(log_in("another1")).await.unwrap();
        assert!(desk.accounts.log_in(log_in("secret1")).await.is_err());
        assert!(matches!(desk.accounts.reset_password(ask(&code)).await, Err(ResetPasswordError::Invalid)));
    }

    #[tokio::test]
    async fn a_code_used_twice_at_once_works_once() {
        let mut desk = Fixture::new();
        desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        forgot(&desk, "ann@x.test");
        let code = desk.mailed("token=").await;
        let (one, other) =
            tokio::join!(desk.accounts.reset_password(ask(&code)), desk.accounts.reset_password(ask(&code)));
        assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1);
    }

    #[tokio::test]
    async fn a_code_is_valid_for_an_hour_and_not_for_a_blocked_account() {
        let mut desk = Fixture::new();
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        forgot(&desk, "ann@x.test");
        let code = desk.mailed("token=").await;
        desk.clock.advance(Duration::from_hours(1));
        assert!(matches!(desk.accounts.reset_password(ask(&code)).await, Err(ResetPasswordError::Invalid)));
        forgot(&desk, "ann@x.test");
        let code = desk.mailed("token=").await;
        desk.set_status(ann.id, AccountStatus::Blocked).await;
        assert!(matches!(desk.accounts.reset_password(ask(&code)).await, Err(ResetPasswordError::Invalid)));
        assert_eq!(desk.user(ann.id).await.status, AccountStatus::Blocked);
    }

    #[tokio::test]
    async fn strangers_and_blocked_accounts_get_no_mail_and_nobody_gets_many() {
        let mut desk = Fixture::new();
        desk.account("blocked@x.test", Role::Customer, AccountStatus::Blocked).await;
        desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        forgot(&desk, "nobody@x.test");
        forgot(&desk, "blocked@x.test");
        for _ in 0..9 {
            forgot(&desk, "ann@x.test");
        }
        desk.accounts.close().await;
        let mut mails = Vec::new();
        while let Ok(mail) = desk.mails.try_recv() {
            mails.push(mail.to.as_str().to_owned());
        }
        assert_eq!(mails, ["ann@x.test"; 5]);
    }
}
