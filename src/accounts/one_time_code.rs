//! Agents of the portal log in in two steps: a password, then six digits that were mailed.

use std::time::Duration;

use super::Accounts;
use super::codes::{RedeemError, digest};
use super::log_in::{LogIn, LogInError};
use super::sign_in::{SignIn, SignedIn, username};
use crate::domain::{CodePurpose, PendingCode, User};
use crate::mail::Mail;
use crate::store::{SaveUserError, StoreError, UserChange};

/// How long the digits are good.
const LIFETIME: Duration = Duration::from_mins(5);

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OneTimeCodeError {
    /// The password opens nothing.
    #[error(transparent)]
    LogIn(#[from] LogInError),
    /// The digits are wrong, used or too old, or the account is no agent's.
    #[error("the code is not valid")]
    Wrong,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// The first step: the password is right, so digits are mailed.
    ///
    /// # Errors
    /// [`OneTimeCodeError`].
    pub async fn mail_one_time_code(&self, ask: SignIn) -> Result<User, OneTimeCodeError> {
        let email = self.email_of(&ask.login).await?;
        let user = self.check_password(LogIn { email: email.clone(), password: ask.password }).await?;
        if !user.role.is_agent() {
            return Err(OneTimeCodeError::Wrong);
        }
        let now = self.parts.clock.now();
        self.mails.attempt(&email, now).map_err(LogInError::from)?;
        let code = format!("{:06}", rand::random_range(0..1_000_000));
        let pending = PendingCode {
            purpose: CodePurpose::LogIn,
            digest: digest(&code),
            expires_at: now.after(LIFETIME),
            failures: 0,
        };
        let change = UserChange { pending_code: Some(Some(pending)), ..UserChange::default() };
        match self.parts.users.update_user(user.id, change, now).await {
            Ok(_) => {}
            Err(SaveUserError::Store(error)) => return Err(error.into()),
            Err(SaveUserError::EmailTaken) => return Err(OneTimeCodeError::Wrong),
        }
        let text = format!("Your code to log in: {code}\n\nIt is good for five minutes.\n");
        self.post.send(user.id, Mail { to: email, subject: "Your code to log in".into(), text }).await;
        Ok(user)
    }

    /// The second step: the digits for a pair of tokens.
    ///
    /// # Errors
    /// [`OneTimeCodeError`].
    pub async fn redeem_one_time_code(&self, number: u64, code: &str) -> Result<SignedIn, OneTimeCodeError> {
        let user = self.parts.users.user_by_number(number).await?.ok_or(OneTimeCodeError::Wrong)?;
        let email = user.email.clone().ok_or(OneTimeCodeError::Wrong)?;
        let redeemed = self.redeem(&email, CodePurpose::LogIn, code, UserChange::default()).await;
        redeemed.map_err(|error| match error {
            RedeemError::Invalid => OneTimeCodeError::Wrong,
            RedeemError::Store(error) => error.into(),
        })?;
        let profile = self.profile(&user).await?;
        let tokens = self.parts.tokens.issue_pair(&user, username(&user, &profile), self.parts.clock.now());
        Ok(SignedIn { user, profile, tokens })
    }

    /// The account with this number.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn user_by_number(&self, number: u64) -> Result<Option<User>, StoreError> {
        self.parts.users.user_by_number(number).await
    }
}
