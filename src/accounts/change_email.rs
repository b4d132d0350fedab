//! Changes one's own e-mail address: requires the password, and a confirmation by mail to the new address.

use std::time::Duration;

use super::Accounts;
use super::log_in::{LogIn, LogInError};
use super::profile::ChangeProfileError;
use crate::auth::EmailChange;
use crate::domain::{AccountStatus, Email, User};
use crate::mail::Mail;
use crate::store::{CodesChange, SaveUserError, StoreError, UserChange, UserCondition, UserKey};

/// How long the confirmation link is valid.
const LIFETIME: Duration = Duration::from_hours(1);

/// A request to change one's own address.
pub struct ChangeEmail {
    /// The new address.
    pub to: Email,
    /// The account's present password.
    pub password: String,
    /// The public URL of this server, without a trailing slash: the link starts with it.
    pub server_url: String,
}

/// Why an address was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmEmailError {
    /// The link is forged, expired or used, or another account has the address now.
    #[error("the link is not valid")]
    Invalid,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Mails a link to the new address, and a notice to the present one. Nothing changes until the link is followed.
    ///
    /// # Errors
    /// [`ChangeProfileError`]; [`LogInError::Wrong`] if the password is wrong.
    pub async fn change_email(&self, user: &User, ask: ChangeEmail) -> Result<(), ChangeProfileError> {
        let from = user.email.clone().ok_or(LogInError::Wrong)?;
        self.check_password(LogIn { email: from.clone(), password: ask.password, from: None }).await?;
        if self.parts.users.find_user(UserKey::Email(&ask.to)).await?.is_some() {
            return Err(ChangeProfileError::EmailTaken);
        }
        let now = self.parts.clock.now();
        self.mails.attempt(&ask.to, now).map_err(LogInError::from)?;
        let change =
            EmailChange { user: user.id, from: from.clone(), to: ask.to.clone(), expires_at: now.after(LIFETIME) };
        let (server, token) = (&ask.server_url, self.parts.tokens.sign_email_change(&change));
        let text = format!(
            "Please confirm that this is your new e-mail address:\n\n\
             {server}/api/auth/confirm-email?token={token}\n\n\
             The link is good for one hour. If you did not ask for it, ignore this mail.\n"
        );
        self.mail_queue
            .send(user.id, Mail { to: ask.to, subject: "Confirm your new e-mail address".into(), text })
            .await;
        let text = "A new e-mail address was given for your account, and waits to be confirmed there.\n\n\
                    If that was not you, choose a new password.\n";
        let notice = Mail { to: from, subject: "Your e-mail address is about to change".into(), text: text.into() };
        self.mail_queue.send(user.id, notice).await;
        Ok(())
    }

    /// Redeems a mailed link. Invalidates the codes that were mailed to the former address.
    ///
    /// # Errors
    /// [`ConfirmEmailError`].
    pub async fn confirm_email(&self, token: &str) -> Result<(), ConfirmEmailError> {
        let now = self.parts.clock.now();
        let change = self.parts.tokens.verify_email_change(token).filter(|change| now < change.expires_at);
        let change = change.ok_or(ConfirmEmailError::Invalid)?;
        let user = self.parts.users.user(change.user).await?;
        let is_waiting =
            |user: &User| user.status == AccountStatus::Active && user.email.as_ref() == Some(&change.from);
        if !user.as_ref().is_some_and(is_waiting) {
            return Err(ConfirmEmailError::Invalid);
        }
        let EmailChange { user, from, to, .. } = change;
        // Meanwhile, another link may be redeemed, and an admin may block the account.
        let condition = UserCondition { unless_blocked: true, email: Some(from), ..UserCondition::default() };
        let update = UserChange { email: Some(to), codes: CodesChange::RemoveAll, condition, ..UserChange::default() };
        let updated = self.parts.users.update_user(user, update, now).await.map_err(|error| match error {
            SaveUserError::EmailTaken | SaveUserError::UsernameTaken => ConfirmEmailError::Invalid,
            SaveUserError::Store(error) => error.into(),
        })?;
        if updated.is_none() {
            return Err(ConfirmEmailError::Invalid);
        }
        self.announce_change(user);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::testing::Fixture;
    use crate::domain::Role;

    fn ask(to: &str, password: &str) -> ChangeEmail {
        let server_url = "https://desk.test".into();
        ChangeEmail { to: to.parse().unwrap(), password: password.into(), server_url }
    }

    #[tokio::test]
    async fn an_address_changes_by_the_password_and_a_mail_to_it_and_once() {
        let mut desk = Fixture::new();
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        desk.account("bob@x.test", Role::Customer, AccountStatus::Active).await;
        let refused = desk.accounts.change_email(&ann, ask("new@x.test", "wrong")).await;
        assert!(matches!(refused, Err(ChangeProfileError::LogIn(LogInError::Wrong))));
        let taken = desk.accounts.change_email(&ann, ask("bob@x.test", "secret1")).await;
        assert!(matches!(taken, Err(ChangeProfileError::EmailTaken)));
        assert!(desk.mails.try_recv().is_err());

        desk.accounts.change_email(&ann, ask("new@x.test", "secret1")).await.unwrap();
        let link = desk.mails.recv().await.unwrap();
        let notice = desk.mails.recv().await.unwrap();
        assert_eq!((link.to.as_str(), notice.to.as_str()), ("new@x.test", "ann@x.test"));
        let token = link.text.split_once("https://desk.test/api/auth/confirm-email?token=").unwrap().1;
        let token = token.lines().next().unwrap();
        assert!(!notice.text.contains(token));
        assert_eq!(desk.user(ann.id).await.email_text(), "ann@x.test", "it waits");
        assert!(desk.accounts.confirm_email(&token[1..]).await.is_err());
        desk.accounts.confirm_email(token).await.unwrap();
        assert_eq!(desk.user(ann.id).await.email_text(), "new@x.test");
        assert!(matches!(desk.accounts.confirm_email(token).await, Err(ConfirmEmailError::Invalid)));
    }

    #[tokio::test]
    async fn a_link_is_valid_for_an_hour_and_not_for_a_blocked_account() {
        let mut desk = Fixture::new();
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        for is_late in [true, false] {
            desk.accounts.change_email(&ann, ask("new@x.test", "secret1")).await.unwrap();
            let token = desk.mailed("token=").await;
            desk.mails.recv().await.unwrap();
            if is_late {
                desk.clock.advance(LIFETIME);
            } else {
                desk.set_status(ann.id, AccountStatus::Blocked).await;
            }
            assert!(matches!(desk.accounts.confirm_email(&token).await, Err(ConfirmEmailError::Invalid)));
        }
    }
}
