//! People change their own account.

use super::Accounts;
use super::fields::{Name, NewPassword, Username};
use super::log_in::{LogIn, LogInError};
use crate::domain::{BirthDate, Email, User};
use crate::store::{CodesChange, Profile, SaveProfileError, SaveUserError, StoreError, UserChange};

/// Why an account stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ChangeOwnError {
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
pub struct OwnDetails {
    /// What they are called.
    pub name: Option<Name>,
    /// Empty for none.
    pub phone: Option<String>,
    /// When they were born.
    pub birth_date: Option<BirthDate>,
}

impl Accounts {
    /// Changes one's own username and address; `None` leaves a field as it is.
    ///
    /// # Errors
    /// [`ChangeOwnError`].
    pub async fn change_own_profile(
        &self,
        user: &User,
        username: Option<Username>,
        email: Option<Email>,
    ) -> Result<(User, Profile), ChangeOwnError> {
        // Before anything is saved: who is refused keeps all as it was.
        if let Some(email) = &email
            && self.parts.users.user_by_email(email).await?.is_some_and(|other| other.id != user.id)
        {
            return Err(ChangeOwnError::EmailTaken);
        }
        let mut profile = self.profile(user).await?;
        if let Some(username) = username {
            profile.username = Some(username.into_string());
            self.parts.profiles.save_profile(profile.clone()).await.map_err(|error| match error {
                SaveProfileError::Taken => ChangeOwnError::UsernameTaken,
                SaveProfileError::Store(error) => ChangeOwnError::Store(error),
            })?;
        }
        // Mailed codes belong to the former address.
        let codes = if email.is_some() { CodesChange::RemoveAll } else { CodesChange::Keep };
        let change = UserChange { email, codes, ..UserChange::default() };
        let updated = self.parts.users.update_user(user.id, change, self.parts.clock.now()).await;
        let updated = updated.map_err(|error| match error {
            SaveUserError::EmailTaken => ChangeOwnError::EmailTaken,
            SaveUserError::Store(error) => ChangeOwnError::Store(error),
        })?;
        self.tell_changed(user.id);
        Ok((updated.unwrap_or_else(|| user.clone()), profile))
    }

    /// Changes what somebody says of themselves; `None` leaves a field as it is.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn change_own_details(&self, user: &User, details: OwnDetails) -> Result<(User, Profile), StoreError> {
        let before = self.profile(user).await?;
        let profile = Profile {
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

    /// Changes one's own password, which takes the present one.
    ///
    /// # Errors
    /// [`ChangeOwnError`]; [`LogInError::Wrong`] if the present password is another.
    pub async fn change_own_password(
        &self,
        user: &User,
        present: String,
        new: NewPassword,
    ) -> Result<(), ChangeOwnError> {
        let email = user.email.clone().ok_or(LogInError::Wrong)?;
        self.check_password(LogIn { email, password: present }).await?;
        let hash = self.parts.passwords.hash(new.into_string()).await.map_err(LogInError::from)?;
        let change = UserChange { password_hash: Some(hash), codes: CodesChange::RemoveAll, ..UserChange::default() };
        match self.parts.users.update_user(user.id, change, self.parts.clock.now()).await {
            Ok(_) => Ok(()),
            Err(SaveUserError::Store(error)) => Err(error.into()),
            Err(SaveUserError::EmailTaken) => Err(ChangeOwnError::EmailTaken),
        }
    }
}
