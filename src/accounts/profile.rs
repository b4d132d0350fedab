//! Changes one's own account.

use super::Accounts;
use super::fields::{Name, NewPassword, Username};
use super::log_in::{LogIn, LogInError};
use super::sign_in::{SignedIn, username};
use crate::domain::{BirthDate, User};
use crate::store::{CodesChange, Profile, SaveProfileError, SaveUserError, StoreError, UserChange};

/// Why an account stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ChangeProfileError {
    /// Another account has this address.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// Another account has this username.
    #[error("another account has this username")]
    UsernameTaken,
    /// The present password was not the right one, or could not be judged.
    #[error(transparent)]
    LogIn(#[from] LogInError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What somebody says of themselves; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct ProfileDetails {
    /// What they are called.
    pub name: Option<Name>,
    /// Empty for none.
    pub phone: Option<String>,
    /// When they were born.
    pub birth_date: Option<BirthDate>,
}

impl Accounts {
    /// Changes one's own username.
    ///
    /// # Errors
    /// [`ChangeProfileError`].
    pub async fn change_username(&self, user: &User, username: Username) -> Result<(), ChangeProfileError> {
        let profile = Profile { username: Some(username.into_string()), ..self.profile(user).await? };
        self.parts.profiles.save_profile(profile).await.map_err(|error| match error {
            SaveProfileError::Taken => ChangeProfileError::UsernameTaken,
            SaveProfileError::Store(error) => ChangeProfileError::Store(error),
        })?;
        self.tell_changed(user.id);
        Ok(())
    }

    /// Changes what somebody says of themselves; `None` leaves a field as it is.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn change_details(&self, user: &User, details: ProfileDetails) -> Result<(User, Profile), StoreError> {
        let before = self.profile(user).await?;
        let given = details.name.as_ref().and_then(Name::parts).cloned();
        let profile = Profile {
            name_parts: given.or_else(|| before.name_parts.clone()),
            phone: details.phone.unwrap_or_else(|| before.phone.clone()),
            birth_date: details.birth_date.or(before.birth_date),
            ..before
        };
        self.save_profile(profile.clone()).await?;
        let change = UserChange { name: details.name.map(Name::into_string), ..UserChange::default() };
        let updated = self.parts.users.update_user(user.id, change, self.parts.clock.now()).await;
        let updated = updated.map_err(|error| match error {
            SaveUserError::Store(error) => error,
            SaveUserError::EmailTaken => StoreError::Corrupt("a name clashes with an address".into()),
        })?;
        self.tell_changed(user.id);
        Ok((updated.unwrap_or_else(|| user.clone()), profile))
    }

    /// Changes one's own password, which takes the present one. All sessions end, the caller's too: the token that leaked is
    /// most often the one of the page that changes the password. The answer holds fresh tokens for clients that take them.
    ///
    /// # Errors
    /// [`ChangeProfileError`]; [`LogInError::Wrong`] if the present password is another.
    pub async fn change_password(
        &self,
        user: &User,
        present: String,
        new: NewPassword,
    ) -> Result<SignedIn, ChangeProfileError> {
        let email = user.email.clone().ok_or(LogInError::Wrong)?;
        self.check_password(LogIn { email, password: present, from: None }).await?;
        let hash = self.parts.passwords.hash(new.into_string()).await.map_err(LogInError::from)?;
        let change = UserChange { password_hash: Some(hash), codes: CodesChange::RemoveAll, ..UserChange::default() };
        let now = self.parts.clock.now();
        let updated = self.parts.users.update_user(user.id, change, now).await.map_err(|error| match error {
            SaveUserError::Store(error) => ChangeProfileError::Store(error),
            SaveUserError::EmailTaken => ChangeProfileError::EmailTaken,
        })?;
        let user = updated.ok_or(LogInError::Wrong)?;
        self.tell_changed(user.id);
        let profile = self.profile(&user).await?;
        let tokens = self.parts.tokens.issue_pair(&user, username(&user, &profile), now);
        Ok(SignedIn { user, profile, tokens })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::forgot_password::ForgotPassword;
    use crate::accounts::testing::Fixture;
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
    async fn guessing_the_present_password_is_counted_as_everywhere() {
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
    async fn a_username_that_another_has_is_refused() {
        let desk = Fixture::new();
        let bob = desk.account("bob@x.test", Role::Customer, AccountStatus::Active).await;
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        let change = async |who: &User, username: &str| {
            desk.accounts.change_username(who, Username::parse(username).unwrap()).await
        };
        change(&bob, "bobby").await.unwrap();
        assert!(matches!(change(&ann, "bobby").await, Err(ChangeProfileError::UsernameTaken)));
        assert_eq!(desk.accounts.profile(&ann).await.unwrap(), Profile::empty(ann.id));
        change(&ann, "annie").await.unwrap();
        assert_eq!(desk.accounts.profile(&ann).await.unwrap().username.as_deref(), Some("annie"));
    }

    #[tokio::test]
    async fn what_is_not_said_stays_and_live_sockets_hear_of_the_rest() {
        let mut desk = Fixture::new();
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        let said = ProfileDetails { phone: Some("+49 1".into()), ..ProfileDetails::default() };
        desk.accounts.change_details(&ann, said).await.unwrap();
        let said = ProfileDetails { name: Some(Name::parse("Ann Lee").unwrap()), ..ProfileDetails::default() };
        let (user, profile) = desk.accounts.change_details(&ann, said).await.unwrap();
        assert_eq!((user.name.as_str(), profile.phone.as_str(), profile.birth_date), ("Ann Lee", "+49 1", None));
        assert_eq!(desk.changed.try_recv(), Ok(ann.id));
    }
}
