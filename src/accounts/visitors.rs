//! Visitors: people without an account, identified by a secret session cookie of which only the digest is stored.

use super::codes::digest;
use super::{Accounts, store_error};
use crate::domain::{AccountStatus, PendingCodes, Profile, Role, User, UserId};
use crate::limits::StillBanned;
use crate::store::{NewUser, ProfileChange, StoreError, UserChange, UserKey};

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
        let is_named = name.is_some();
        let contact_email = details.email.filter(|email| *email != user.profile.contact_email);
        let phone = details.phone.filter(|phone| *phone != user.profile.phone);
        if is_named || contact_email.is_some() || phone.is_some() {
            let profile = ProfileChange { contact_email, phone, ..ProfileChange::default() };
            let change = UserChange { name, profile, ..UserChange::default() };
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
        let profile = ProfileChange { ends_session: true, ..ProfileChange::default() };
        let change = UserChange { profile, ..UserChange::default() };
        self.parts.users.update_user(visitor.id, change, self.parts.clock.now()).await.map_err(store_error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::testing::Fixture;

    fn details(phone: &str) -> VisitorDetails {
        VisitorDetails { phone: Some(phone.to_owned()), ..VisitorDetails::default() }
    }

    #[tokio::test]
    async fn details_of_a_request_that_began_before_a_log_in_do_not_bring_the_ended_session_back() {
        let desk = Fixture::new();
        let NewVisitor { user, secret } = desk.accounts.new_visitor(VisitorDetails::default()).await.unwrap();
        desk.accounts.end_session(&user).await.unwrap();
        desk.accounts.change_visitor(&user, details("+49 1")).await.unwrap();
        assert!(desk.accounts.visitor(&secret).await.unwrap().is_none());
        assert_eq!(desk.user(user.id).await.profile.phone, "+49 1");
    }

    #[tokio::test]
    async fn requests_that_change_different_details_do_not_overwrite_each_other() {
        let desk = Fixture::new();
        let NewVisitor { user, .. } = desk.accounts.new_visitor(VisitorDetails::default()).await.unwrap();
        let email = VisitorDetails { email: Some("ann@x.test".into()), ..VisitorDetails::default() };
        for details in [email, details("+49 1")] {
            desk.accounts.change_visitor(&user, details).await.unwrap();
        }
        let profile = desk.user(user.id).await.profile;
        assert_eq!((profile.contact_email.as_str(), profile.phone.as_str()), ("ann@x.test", "+49 1"));
    }
}
