//! Visitors: people without an account, identified by a secret session cookie of which only the digest is stored.

use super::Accounts;
use super::codes::digest;
use crate::domain::{AccountStatus, PendingCodes, Profile, Role, User, UserId};
use crate::limits::StillBanned;
use crate::store::{NewUser, SaveUserError, StoreError, UserChange, UserKey};

/// What a visitor is called who gives no name.
pub const ANONYMOUS: &str = "Anonymous";

/// What somebody says of themselves; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct VisitorDetails {
    /// What to call them.
    pub name: Option<String>,
    /// Where to write to, not confirmed.
    pub email: Option<String>,
    /// Where to call.
    pub phone: Option<String>,
}

/// Somebody new, and the secret by which they will be known.
#[derive(Debug)]
pub struct NewVisitor {
    /// Who.
    pub user: User,
    /// What their cookie holds. It is told once, here.
    pub secret: String,
}

/// Why a session opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum VisitorError {
    /// Whoever has it is shut out for a time.
    #[error(transparent)]
    Banned(#[from] StillBanned),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Who has this session, if anybody.
    ///
    /// # Errors
    /// [`VisitorError`] if they are shut out for a time, or if the store fails.
    pub async fn visitor(&self, secret: &str) -> Result<Option<User>, VisitorError> {
        if secret.is_empty() || secret.len() > 128 {
            return Ok(None);
        }
        let user = self.parts.users.find_user(UserKey::Session(&digest(secret))).await?;
        let user = user.filter(|user| user.status == AccountStatus::Active);
        if let Some(user) = &user {
            self.parts.bans.check_person(user.id)?;
        }
        Ok(user)
    }

    /// The account or visitor with this id.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.parts.users.user(id).await
    }

    /// Makes a visitor with a session of their own. A session is never one that a client has thought up.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn new_visitor(&self, details: VisitorDetails) -> Result<NewVisitor, StoreError> {
        let now = self.parts.clock.now();
        let secret = hex::encode(rand::random::<[u8; 20]>());
        let new = NewUser {
            id: UserId::generate(now),
            name: details.name.filter(|name| !name.is_empty()).unwrap_or_else(|| ANONYMOUS.to_owned()),
            email: None,
            password_hash: None,
            role: Role::Customer,
            status: AccountStatus::Active,
            pending_codes: PendingCodes::new(),
            profile: Profile {
                contact_email: details.email.unwrap_or_default(),
                phone: details.phone.unwrap_or_default(),
                session: Some(digest(&secret)),
                ..Profile::default()
            },
            at: now,
        };
        let user = self.parts.users.create_user(new).await.map_err(store_error)?;
        Ok(NewVisitor { user, secret })
    }

    /// Changes what somebody says of themselves. The name of an account stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn change_visitor(&self, user: &User, details: VisitorDetails) -> Result<(), StoreError> {
        let name = details.name.filter(|_| user.email.is_none());
        let name = name.map(|name| if name.is_empty() { ANONYMOUS.to_owned() } else { name });
        let profile = Profile {
            contact_email: details.email.unwrap_or_else(|| user.profile.contact_email.clone()),
            phone: details.phone.unwrap_or_else(|| user.profile.phone.clone()),
            ..user.profile.clone()
        };
        let is_named = name.is_some();
        if is_named || profile != user.profile {
            let change = UserChange { name, profile: Some(profile), ..UserChange::default() };
            self.parts.users.update_user(user.id, change, self.parts.clock.now()).await.map_err(store_error)?;
        }
        if is_named {
            self.tell_changed(user.id);
        }
        Ok(())
    }

    /// Ends a visitor's session: the cookie opens nothing any more.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn end_session(&self, visitor: &User) -> Result<(), StoreError> {
        let profile = Profile { session: None, ..visitor.profile.clone() };
        let change = UserChange { profile: Some(profile), ..UserChange::default() };
        self.parts.users.update_user(visitor.id, change, self.parts.clock.now()).await.map_err(store_error)?;
        Ok(())
    }
}

/// Visitors have no address, so none can be taken.
pub(super) fn store_error(error: SaveUserError) -> StoreError {
    match error {
        SaveUserError::Store(error) => error,
        SaveUserError::EmailTaken | SaveUserError::UsernameTaken => {
            StoreError::Corrupt("a visitor clashes with an account".into())
        }
    }
}
