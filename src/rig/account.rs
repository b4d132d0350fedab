//! Who the clients are.

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;

use crate::domain::{AccountStatus, Clock as _, PendingCodes, Role, SystemClock, UserId};
use crate::store::{NewUser, UserStore};

/// Seconds that a token is good for.
const TOKEN_LIFE: i64 = 86_400;

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

#[derive(Serialize)]
struct Claims<'a> {
    id: String,
    role: &'a str,
    iat: i64,
    exp: i64,
}

impl Account {
    /// Signs a token for this account.
    pub(crate) fn token(&self, secret: &str) -> anyhow::Result<String> {
        let iat = SystemClock.now().seconds();
        let claims = Claims { id: self.id.to_string(), role: self.role.word(), iat, exp: iat + TOKEN_LIFE };
        encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).context("signing a token")
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
