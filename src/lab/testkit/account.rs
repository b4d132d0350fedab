//! Who the clients are.

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::auth::token::DEFAULT_LIFETIME;
use crate::auth::{Secret, Tokens};
use crate::domain::{AccountStatus, Clock as _, PendingCodes, Role, SystemClock, UserId};
use crate::store::{NewUser, UserStore};

/// Accounts that are being made at the same time.
const AT_ONCE: usize = 64;

/// One account of the server.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Its id.
    pub(crate) id: UserId,
    /// `user` or `admin`, as tokens say it.
    pub(crate) role: Role,
}

impl Account {
    /// A token for this account, good for a day.
    pub(crate) fn token(&self, secret: &str) -> String {
        Tokens::new(&Secret::from(secret), DEFAULT_LIFETIME).issue(self.id, self.role, SystemClock.now())
    }

    /// Makes accounts that cannot log in with a password, in this order.
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
                at: now,
            };
            let user = users.create_user(new).await?;
            anyhow::Ok(Self { id: user.id, role: user.role })
        });
        stream::iter(making).buffered(AT_ONCE).try_collect().await.context("making the accounts")
    }
}
