//! Six mailed digits: the second step of an agent's log-in to the portal, and the confirmation of a new customer's address.

use std::time::Duration;

use super::Accounts;
use super::codes::{RedeemError, digits_mail, generate_digits};
use super::log_in::{LogIn, LogInError};
use super::sign_in::{SignIn, SignedIn, username};
use crate::domain::{AccountStatus, CodePurpose, User};
use crate::store::{CodesChange, SaveUserError, StoreError, UserChange, UserCondition, UserKey};

/// Lifetime of a code.
const LIFETIME: Duration = Duration::from_mins(5);

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum OneTimeCodeError {
    /// The log-in failed.
    #[error(transparent)]
    LogIn(#[from] LogInError),
    /// The code is wrong, used or expired, or the account is not an agent's.
    #[error("the code is not valid")]
    Wrong,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// First step: checks the password and mails a code.
    ///
    /// # Errors
    /// [`OneTimeCodeError`].
    pub async fn mail_one_time_code(&self, ask: SignIn) -> Result<User, OneTimeCodeError> {
        let email = self.email_of(&ask.login).await?;
        let user = self.check_password(LogIn { email: email.clone(), password: ask.password, from: ask.from }).await?;
        if !user.role.is_agent() {
            return Err(OneTimeCodeError::Wrong);
        }
        let now = self.parts.clock.now();
        // Counted separately: mails that anybody may request must not prevent agents from logging in.
        self.digits.attempt(&email, now).map_err(LogInError::from)?;
        let (code, pending) = generate_digits(LIFETIME, now);
        // A new password cancels codes that were requested with the former one, so none may follow.
        let condition = UserCondition { password_hash: user.password_hash.clone(), ..UserCondition::default() };
        let codes = CodesChange::Put(CodePurpose::LogIn, pending);
        let change = UserChange { codes, condition, ..UserChange::default() };
        match self.parts.users.update_user(user.id, change, now).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(LogInError::Wrong.into()),
            Err(SaveUserError::Store(error)) => return Err(error.into()),
            Err(SaveUserError::EmailTaken | SaveUserError::UsernameTaken) => return Err(OneTimeCodeError::Wrong),
        }
        self.mail_queue.send(user.id, digits_mail(&email, "log in", &code, LIFETIME)).await;
        Ok(user)
    }

    /// Second step: exchanges the digits for a pair of tokens. Digits that confirm an address also activate the account.
    ///
    /// # Errors
    /// [`OneTimeCodeError`].
    pub async fn redeem_one_time_code(
        &self,
        number: u64,
        purpose: CodePurpose,
        code: &str,
    ) -> Result<SignedIn, OneTimeCodeError> {
        // As in `log_in`: before the account is read.
        let now = self.parts.clock.now();
        let user = self.parts.users.find_user(UserKey::Number(number)).await?.ok_or(OneTimeCodeError::Wrong)?;
        self.parts.bans.check_person(user.id).map_err(LogInError::from)?;
        let email = user.email.ok_or(OneTimeCodeError::Wrong)?;
        let status = (purpose == CodePurpose::VerifyEmail).then_some(AccountStatus::Active);
        let redeemed = self.redeem(&email, purpose, code, UserChange { status, ..UserChange::default() }).await;
        let user = redeemed.map_err(|error| match error {
            RedeemError::Invalid => OneTimeCodeError::Wrong,
            RedeemError::Store(error) => error.into(),
        })?;
        if user.status != AccountStatus::Active {
            return Err(OneTimeCodeError::Wrong);
        }
        let tokens = self.parts.tokens.issue_pair(&user, username(&user), now);
        Ok(SignedIn { user, tokens })
    }

    /// The account with this number.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn user_by_number(&self, number: u64) -> Result<Option<User>, StoreError> {
        self.parts.users.find_user(UserKey::Number(number)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::forgot_password::ForgotPassword;
    use crate::accounts::testing::Fixture;
    use crate::domain::Role;

    fn ask(login: &str) -> SignIn {
        SignIn { login: login.into(), password: "secret1".into(), from: None }
    }

    #[tokio::test]
    async fn agents_log_in_with_mailed_digits_that_are_valid_once() {
        let mut desk = Fixture::new();
        let ada = desk.account("ada@x.test", Role::Admin, AccountStatus::Active).await;
        desk.accounts.mail_one_time_code(ask("ada@x.test")).await.unwrap();
        let code: String = desk.mailed("log in: ").await.chars().take(6).collect();
        assert!(code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        let redeem = async |code: &str| desk.accounts.redeem_one_time_code(ada.number, CodePurpose::LogIn, code).await;
        assert!(matches!(redeem("wrong").await, Err(OneTimeCodeError::Wrong)));
        assert_eq!(redeem(&code).await.unwrap().user.id, ada.id);
        assert!(matches!(redeem(&code).await, Err(OneTimeCodeError::Wrong)), "used already");
    }

    #[tokio::test]
    async fn digits_are_void_after_five_wrong_ones_and_after_five_minutes() {
        let mut desk = Fixture::new();
        let ada = desk.account("ada@x.test", Role::Admin, AccountStatus::Active).await;
        for spoil_by_time in [true, false] {
            desk.accounts.mail_one_time_code(ask("ada@x.test")).await.unwrap();
            let code: String = desk.mailed("log in: ").await.chars().take(6).collect();
            if spoil_by_time {
                desk.clock.advance(LIFETIME);
            } else {
                for _ in 0..5 {
                    drop(desk.accounts.redeem_one_time_code(ada.number, CodePurpose::LogIn, "wrong").await);
                }
            }
            let late = desk.accounts.redeem_one_time_code(ada.number, CodePurpose::LogIn, &code).await;
            assert!(matches!(late, Err(OneTimeCodeError::Wrong)));
        }
    }

    #[tokio::test]
    async fn requests_by_strangers_do_not_prevent_an_agents_log_in() {
        let mut desk = Fixture::new();
        let ada = desk.account("ada@x.test", Role::Admin, AccountStatus::Active).await;
        desk.accounts.mail_one_time_code(ask("ada@x.test")).await.unwrap();
        let code: String = desk.mailed("log in: ").await.chars().take(6).collect();
        for _ in 0..5 {
            desk.accounts.forgot_password(ForgotPassword { email: "ada@x.test".parse().unwrap() });
            desk.mailed("token=").await;
        }
        let signed_in = desk.accounts.redeem_one_time_code(ada.number, CodePurpose::LogIn, &code).await.unwrap();
        assert_eq!(signed_in.user.id, ada.id, "the digits are as good as before");
        desk.accounts.mail_one_time_code(ask("ada@x.test")).await.unwrap();
        desk.mailed("log in: ").await;
    }

    #[tokio::test]
    async fn only_an_active_account_that_is_not_banned_gets_tokens() {
        let mut desk = Fixture::new();
        let ada = desk.account("ada@x.test", Role::Admin, AccountStatus::Active).await;
        for status in [AccountStatus::Blocked, AccountStatus::Unverified] {
            desk.accounts.mail_one_time_code(ask("ada@x.test")).await.unwrap();
            let code: String = desk.mailed("log in: ").await.chars().take(6).collect();
            desk.set_status(ada.id, status).await;
            let refused = desk.accounts.redeem_one_time_code(ada.number, CodePurpose::LogIn, &code).await;
            assert!(matches!(refused, Err(OneTimeCodeError::Wrong)), "{status:?}: {refused:?}");
            desk.set_status(ada.id, AccountStatus::Active).await;
        }
    }

    #[tokio::test]
    async fn customers_get_no_digits() {
        let desk = Fixture::new();
        desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        let refused = desk.accounts.mail_one_time_code(ask("ann@x.test")).await;
        assert!(matches!(refused, Err(OneTimeCodeError::Wrong)));
    }
}
