//! Changes the caller's own profile and password.

use super::fields::{Name, NewPassword, Username};
use super::log_in::{LogIn, LogInError};
use super::sign_in::{SignedIn, username};
use super::{Accounts, store_error};
use crate::domain::{BirthDate, User};
use crate::store::{CodesChange, ProfileChange, SaveUserError, StoreError, UserChange, UserCondition};

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeProfileError {
    /// Another account has this address.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// Another account has this username.
    #[error("another account has this username")]
    UsernameTaken,
    /// The current password was wrong, or could not be checked.
    #[error(transparent)]
    LogIn(#[from] LogInError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SaveUserError> for ChangeProfileError {
    fn from(error: SaveUserError) -> Self {
        match error {
            SaveUserError::EmailTaken => Self::EmailTaken,
            SaveUserError::UsernameTaken => Self::UsernameTaken,
            SaveUserError::Store(error) => Self::Store(error),
        }
    }
}

/// A change of the caller's own details; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct ProfileDetails {
    /// The name.
    pub name: Option<Name>,
    /// Empty for none.
    pub phone: Option<String>,
    /// The date of birth.
    pub birth_date: Option<BirthDate>,
}

impl Accounts {
    /// Changes the caller's own username. Returns the changed account, or `user` unchanged if it was deleted meanwhile.
    ///
    /// # Errors
    /// [`ChangeProfileError`].
    pub async fn change_username(&self, user: &User, username: Username) -> Result<User, ChangeProfileError> {
        let profile = ProfileChange { username: Some(username.into_string()), ..ProfileChange::default() };
        let change = UserChange { profile, ..UserChange::default() };
        let updated = self.parts.users.update_user(user.id, change, self.parts.clock.now()).await?;
        self.announce_change(user.id);
        Ok(updated.unwrap_or_else(|| user.clone()))
    }

    /// Changes the caller's own details. Returns the changed account, or `user` unchanged if it was deleted meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn change_details(&self, user: &User, details: ProfileDetails) -> Result<User, StoreError> {
        let profile = ProfileChange {
            name_parts: details.name.as_ref().and_then(Name::parts).cloned(),
            phone: details.phone,
            birth_date: details.birth_date,
            ..ProfileChange::default()
        };
        let change = UserChange { name: details.name.map(Name::into_string), profile, ..UserChange::default() };
        let updated = self.parts.users.update_user(user.id, change, self.parts.clock.now()).await;
        let updated = updated.map_err(store_error)?;
        self.announce_change(user.id);
        Ok(updated.unwrap_or_else(|| user.clone()))
    }

    /// Changes the caller's own password, which requires the current one. Revokes all tokens, the caller's included, because a leaked
    /// token is most often that of the page that changes the password. Returns new tokens for clients that use them.
    ///
    /// # Errors
    /// [`ChangeProfileError`]; [`LogInError::Wrong`] if the current password is wrong.
    pub async fn change_password(
        &self,
        user: &User,
        present: String,
        new: NewPassword,
    ) -> Result<SignedIn, ChangeProfileError> {
        let email = user.email.clone().ok_or(LogInError::Wrong)?;
        let checked = self.check_password(LogIn { email, password: present, from: None }).await?;
        let hash = self.parts.passwords.hash(new.into_string()).await.map_err(LogInError::from)?;
        // The owner may choose a new password, or be blocked, while somebody with the former one gets here.
        let condition =
            UserCondition { unless_blocked: true, password_hash: checked.password_hash, ..UserCondition::default() };
        let codes = CodesChange::RemoveAll;
        let change = UserChange { password_hash: Some(hash), codes, condition, ..UserChange::default() };
        let now = self.parts.clock.now();
        let updated = self.parts.users.update_user(user.id, change, now).await?;
        let user = updated.ok_or(LogInError::Wrong)?;
        self.announce_change(user.id);
        let tokens = self.parts.tokens.issue_pair(&user, username(&user), now);
        Ok(SignedIn { user, tokens })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::forgot_password::ForgotPassword;
    use crate::accounts::testing::Fixture;
    use crate::domain::Profile;
    use crate::domain::{AccountStatus, Role};

    fn ask(password: &str) -> LogIn {
        LogIn { email: "ann@x.test".parse().unwrap(), password: password.to_owned(), from: None }
    }

    #[tokio::test]
    async fn a_password_is_changed_by_who_knows_it_and_mailed_codes_go_with_it() {
        let mut desk = Fixture::new();
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        desk.accounts.forgot_password(ForgotPassword { email: "ann@x.test".parse().unwrap() });
        desk.mailed("token=").await;
        let change = async |present: &str| {
            let new = NewPassword::parse("another1".to_owned()).unwrap();
            desk.accounts.change_password(&ann, present.to_owned(), new).await
        };
        assert!(matches!(change("wrong").await, Err(ChangeProfileError::LogIn(LogInError::Wrong))));
        assert_eq!(desk.user(ann.id).await.password_hash, ann.password_hash);
        assert!(!desk.user(ann.id).await.pending_codes.is_empty(), "a wrong guess takes nothing from anybody");
        change("secret1").await.unwrap();
        assert!(desk.user(ann.id).await.pending_codes.is_empty());
        assert!(matches!(desk.accounts.log_in(ask("secret1")).await, Err(LogInError::Wrong)));
        desk.accounts.log_in(ask("another1")).await.unwrap();
    }

    #[tokio::test]
    async fn guesses_of_the_current_password_are_counted() {
        let desk = Fixture::new();
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        let change = async |present: &str| {
            let new = NewPassword::parse("another1".to_owned()).unwrap();
            desk.accounts.change_password(&ann, present.to_owned(), new).await
        };
        for _ in 0..10 {
            assert!(matches!(change("wrong").await, Err(ChangeProfileError::LogIn(LogInError::Wrong))));
        }
        let refused = change("secret1").await;
        assert!(matches!(refused, Err(ChangeProfileError::LogIn(LogInError::TooManyTries(_)))));
    }

    #[tokio::test]
    async fn a_username_of_another_account_is_refused() {
        let desk = Fixture::new();
        let bob = desk.account("bob@x.test", Role::Customer, AccountStatus::Active).await;
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        let change = async |who: &User, username: &str| {
            desk.accounts.change_username(who, Username::parse(username).unwrap()).await
        };
        change(&bob, "bobby").await.unwrap();
        assert!(matches!(change(&ann, "bobby").await, Err(ChangeProfileError::UsernameTaken)));
        assert_eq!(desk.user(ann.id).await.profile, Profile::default());
        change(&ann, "annie").await.unwrap();
        assert_eq!(desk.user(ann.id).await.profile.username.as_deref(), Some("annie"));
    }

    #[tokio::test]
    async fn requests_that_change_different_details_do_not_overwrite_each_other() {
        let desk = Fixture::new();
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        let phone = ProfileDetails { phone: Some("+49 1".into()), ..ProfileDetails::default() };
        let born = ProfileDetails { birth_date: Some("1990-02-28".parse().unwrap()), ..ProfileDetails::default() };
        for details in [phone, born] {
            desk.accounts.change_details(&ann, details).await.unwrap();
        }
        desk.accounts.change_username(&ann, Username::parse("annie").unwrap()).await.unwrap();
        let Profile { username, phone, birth_date, .. } = desk.user(ann.id).await.profile;
        assert_eq!((username.as_deref(), phone.as_str()), (Some("annie"), "+49 1"));
        assert!(birth_date.is_some());
    }

    #[tokio::test]
    async fn what_is_not_said_stays_and_live_sockets_hear_of_the_rest() {
        let mut desk = Fixture::new();
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        let said = ProfileDetails { phone: Some("+49 1".into()), ..ProfileDetails::default() };
        let ann = desk.accounts.change_details(&ann, said).await.unwrap();
        let said = ProfileDetails { name: Some(Name::parse("Ann Lee").unwrap()), ..ProfileDetails::default() };
        let user = desk.accounts.change_details(&ann, said).await.unwrap();
        assert_eq!((user.name.as_str(), user.profile.phone.as_str()), ("Ann Lee", "+49 1"));
        assert_eq!((user.profile.birth_date, &user), (None, &desk.user(ann.id).await));
        assert_eq!(desk.changed.try_recv(), Ok(ann.id));
    }
}
