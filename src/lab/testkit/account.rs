//! Accounts of the clients.

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::auth::token::DEFAULT_LIFETIME;
use crate::auth::{Secret, Tokens};
use crate::domain::{AccountStatus, Clock as _, PendingCodes, Profile, Role, SystemClock, UserId};
use crate::store::{NewUser, UserStore};

/// Accounts created concurrently.
const AT_ONCE: usize = 64;

/// An account on the server.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Account id.
    pub(crate) id: UserId,
    /// Role, as in tokens.
    pub(crate) role: Role,
}

impl Account {
    /// A token for this account, valid for a day.
    pub(crate) fn token(&self, secret: &str) -> String {
        Tokens::new(&Secret::from(secret), DEFAULT_LIFETIME).issue(self.id, self.role, SystemClock.now())
    }

    /// Creates accounts without passwords, in this order.
    pub(crate) async fn make(users: &dyn UserStore, people: &[(String, Role)]) -> anyhow::Result<Vec<Self>> {
        let now = SystemClock.now();
        let making = people.iter().map(|(name, role)| async move {
            let new = NewUser {
                id: UserId::generate(now),
                name: name.clone(),
                email: format!("{name}@scratch.test").parse().ok(),
                password_hash: None,
                role: *role,
                status: AccountStatus::Active,
                pending_codes: PendingCodes::new(),
                profile: Profile::default(),
                at: now,
            };
            let user = users.create_user(new).await?;
            anyhow::Ok(Self { id: user.id, role: user.role })
        });
        stream::iter(making).buffered(AT_ONCE).try_collect().await.context("making the accounts")
    }
}
