//! `deskline token`

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::say;
use super::user::{Keeper, must_exist};
use crate::auth::Tokens;
use crate::config::{AuthConfig, StoreConfig};
use crate::domain::{Clock, Email, SystemClock};
use crate::store::UserKey;

/// Print a token for an account.
#[derive(Debug, Args)]
pub(super) struct Token {
    /// E-mail address of the account.
    email: Email,
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    auth: AuthConfig,
}

impl Token {
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        self.store.complete();
        self.auth.complete();
        let location = self.store.location();
        let secret = self.auth.secret(location.file().map(PathBuf::as_path), true)?;
        must_exist(&location)?;
        let keeper = Keeper::open(&location).await?;
        let user = keeper.users.find_user(UserKey::Email(&self.email)).await?;
        keeper.close().await;
        let Some(user) = user else { bail!("no account has this address") };
        say(Tokens::new(&secret, self.auth.token_lifetime).issue_to(&user, SystemClock.now()))
    }
}
