//! Visitors: people without an account, identified by a secret session cookie of which only the digest is stored.

use super::codes::digest;
use super::{Accounts, store_error};
use crate::domain::{AccountStatus, PendingCodes, Profile, Role, User, UserId};
use crate::limits::StillBanned;
use crate::store::{NewUser, StoreError, UserChange, UserKey};

/// The name of a visitor who enters none.
pub const ANONYMOUS: &str = "Anonymous";

/// Details that a visitor enters; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct VisitorDetails {
    /// Their name.
    pub name: Option<String>,
    /// Their address, which is not confirmed.
    pub email: Option<String>,
    /// Their phone number.
    pub phone: Option<String>,
}

/// A new visitor, and the secret of their session.
#[derive(Debug)]
pub struct NewVisitor {
    /// The visitor.
    pub user: User,
    /// The value of their session cookie. Only its digest is stored.
    pub secret: String,
}

/// Why a session was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VisitorError {
    /// The visitor is banned.
    #[error(transparent)]
    Banned(#[from] StillBanned),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// The visitor with this session, if there is one.
    ///
    /// # Errors
    /// [`VisitorError`] if they are banned, or if the store fails.
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

    /// Creates a visitor with a new session. Client-supplied session ids are never accepted.
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

    /// Changes the details of a visitor, or of an account except its name.
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
            self.announce_change(user.id);
        }
        Ok(())
    }

    /// Ends a visitor's session, so that the cookie is no longer accepted.
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
