//! The demo accounts. Their passwords are public, so they are only created by `--demo`.

use anyhow::Context;

use crate::auth::Passwords;
use crate::domain::{AccountStatus, Clock, Email, PendingCodes, Profile, Role, SystemClock, UserId};
use crate::store::{NewUser, UserKey, UserStore};

/// The password of all demo accounts.
pub(super) const PASSWORD: &str = "deskline-demo";

/// Name, address and role of each. The part of the address before the @ is the username.
pub(super) const ACCOUNTS: [(&str, &str, Role); 3] = [
    ("Ada (support)", "admin@demo.test", Role::Admin),
    ("Ann", "ann@demo.test", Role::Customer),
    ("Bob", "bob@demo.test", Role::Customer),
];

/// Creates the demo accounts that do not exist yet.
pub(super) async fn prepare(users: &dyn UserStore) -> anyhow::Result<()> {
    for (name, email, role) in ACCOUNTS {
        let email: Email = email.parse().context("a demo address")?;
        if users.find_user(UserKey::Email(&email)).await?.is_some() {
            continue;
        }
        let username = Some(email.local_part().to_owned());
        let at = SystemClock.now();
        let new = NewUser {
            id: UserId::generate(at),
            name: name.into(),
            email: Some(email),
            password_hash: Some(Passwords::default().hash(PASSWORD.into()).await?),
            role,
            status: AccountStatus::Active,
            pending_codes: PendingCodes::new(),
            profile: Profile { username, ..Profile::default() },
            at,
        };
        users.create_user(new).await?;
    }
    Ok(())
}

/// Whether a store has demo accounts.
pub(super) async fn remains(users: &dyn UserStore) -> anyhow::Result<bool> {
    let email: Email = ACCOUNTS[0].1.parse().context("a demo address")?;
    Ok(users.find_user(UserKey::Email(&email)).await?.is_some())
}
