//! The store's ports for accounts and bans.

use async_trait::async_trait;

use super::{StoreError, UserChange};
use crate::domain::{
    AccountStatus, Ban, Banned, DeskId, Email, PendingCodes, Profile, Role, Sessions, Timestamp, User, UserId,
};

/// Why an account could not be created or changed.
#[derive(Debug, thiserror::Error)]
pub enum SaveUserError {
    /// Another account has this address.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// Another account has this username, or this session.
    #[error("another account has this user name")]
    UsernameTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account to be created. The store assigns the number.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// Shown to others.
    pub name: String,
    /// `None` for a visitor.
    pub email: Option<Email>,
    /// `None` for accounts that cannot log in with a password.
    pub password_hash: Option<String>,
    /// What they are allowed to do.
    pub role: Role,
    /// Whether the account can be used.
    pub status: AccountStatus,
    /// Pending mailed codes.
    pub pending_codes: PendingCodes,
    /// Personal details.
    pub profile: Profile,
    /// When it is created.
    pub at: Timestamp,
}

impl NewUser {
    /// The account with this number.
    pub(crate) fn numbered(self, number: u64) -> User {
        User {
            id: self.id,
            number,
            name: self.name,
            email: self.email,
            password_hash: self.password_hash,
            role: self.role,
            status: self.status,
            pending_codes: self.pending_codes,
            sessions: Sessions::default(),
            profile: self.profile,
            created_at: self.at,
            updated_at: self.at,
        }
    }
}

/// One page of accounts, oldest first.
#[derive(Debug, Clone)]
pub struct UserPage {
    /// The accounts.
    pub users: Vec<User>,
    /// How many there are on all pages.
    pub total: u64,
}

/// What an account can be found by, besides its id. No two accounts have the same.
#[derive(Debug, Clone, Copy)]
pub enum UserKey<'a> {
    /// Its number.
    Number(u64),
    /// Its address.
    Email(&'a Email),
    /// Its username.
    Username(&'a str),
    /// The digest of its session.
    Session(&'a str),
}

/// Stores accounts.
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// Creates an account.
    async fn create_user(&self, new: NewUser) -> Result<User, SaveUserError>;
    /// The account with this id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;
    /// The accounts with these ids, in any order. Only the first [`MAX_PAGE`](super::MAX_PAGE) ids are used.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError>;
    /// The account with this key.
    async fn find_user(&self, key: UserKey<'_>) -> Result<Option<User>, StoreError>;
    /// Changes an account, and returns it as it is then; `None` if there is none, or if the change's condition does not hold. The condition
    /// is checked and the change is made in one step, also with several processes on one store.
    async fn update_user(&self, id: UserId, change: UserChange, at: Timestamp) -> Result<Option<User>, SaveUserError>;
    /// Deletes an account; its messages stay. Returns whether there was one.
    async fn delete_user(&self, id: UserId) -> Result<bool, StoreError>;
    /// Accounts of a role, oldest first, after the first `skip`.
    async fn users_of_role(&self, role: Role, skip: u64, limit: usize) -> Result<UserPage, StoreError>;
    /// The first admin who is not blocked, else the first agent who is not.
    async fn first_agent(&self) -> Result<Option<User>, StoreError>;
    /// The ids by which customers know the desk. The first is shown to them, all are accepted. They are never removed.
    async fn desk_ids(&self) -> Result<Vec<DeskId>, StoreError>;
    /// Pins the id by which customers know the desk, unless one is pinned already. Returns all of them.
    async fn pin_desk(&self, id: DeskId) -> Result<Vec<DeskId>, StoreError>;
}

/// How many bans can be in force at the same time. All of them are read together, twice a second.
pub const MAX_BANS: usize = 1000;

/// Stores temporary bans.
#[async_trait]
pub trait BanStore: Send + Sync + 'static {
    /// Saves a ban, in place of an earlier one of the same person or network. Removes those that have ended by `now`. Returns false, and
    /// saves nothing, if [`MAX_BANS`] others are in force.
    async fn save_ban(&self, ban: Ban, now: Timestamp) -> Result<bool, StoreError>;
    /// Removes a ban. Returns whether there was one, in force or not.
    async fn lift_ban(&self, who: Banned) -> Result<bool, StoreError>;
    /// The bans that are in force, the next to end first.
    async fn bans(&self, now: Timestamp) -> Result<Vec<Ban>, StoreError>;
}
