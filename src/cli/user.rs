//! `deskline user`: manages accounts, also while a server runs on the same store. The server notices changes within a second.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::plain::plain;
use super::{password, say};
use crate::accounts::fields::Username;
use crate::auth::Passwords;
use crate::config::{DEMO_DATA, StoreConfig};
use crate::domain::{AccountStatus, Clock, Email, PendingCodes, Profile, Role, SystemClock, UserId};
use crate::store::{
    MAX_PAGE, NewUser, OpenStore, SessionsChange, StoreLocation, Stores, UserChange, UserKey, UserStore,
};

/// Manage accounts: add, list, block, unblock, log out, set a password.
///
/// A server that runs on the same store applies changes within a second, also to open connections.
#[derive(Debug, Args)]
pub(super) struct User {
    #[command(flatten)]
    store: StoreConfig,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add an account; the password is read from standard input.
    Add {
        /// E-mail address.
        email: Email,
        /// Name [default: the part of the address before the @].
        #[arg(long)]
        name: Option<String>,
        /// User name, for the sign-in pages of the storefront and the portal.
        #[arg(long, value_parser = Username::parse)]
        username: Option<Username>,
        /// Role: user (a customer), agent or admin.
        #[arg(long, default_value = "user")]
        role: Role,
    },
    /// List the accounts.
    List,
    /// Block an account; open connections are closed.
    Block {
        /// E-mail address of the account.
        email: Email,
    },
    /// Unblock an account.
    Unblock {
        /// E-mail address of the account.
        email: Email,
    },
    /// End all sessions of an account; it has to log in again.
    LogOut {
        /// E-mail address of the account.
        email: Email,
    },
    /// Set a password, read from standard input; ends all sessions of the account.
    Password {
        /// E-mail address of the account.
        email: Email,
    },
}

/// Refuses a data file that does not exist: it is most likely not the one that was meant, so it is not created.
pub(super) fn must_exist(location: &StoreLocation) -> anyhow::Result<()> {
    let Some(file) = location.file().filter(|file| !file.exists()) else { return Ok(()) };
    let demo = Path::new(DEMO_DATA);
    let other = if demo.exists() { DEMO_DATA } else { "FILE" };
    bail!("data file {} does not exist\nhint: pass the data file of the server with --data {other}", file.display())
}

/// The store as these commands use it.
pub(super) struct Keeper {
    pub(super) users: Arc<dyn UserStore>,
    store: OpenStore,
}

impl Keeper {
    pub(super) async fn open(location: &StoreLocation) -> anyhow::Result<Self> {
        let store = location.open().await.with_context(|| format!("opening the store, {location}"))?;
        let Stores { users, .. } = store.stores();
        Ok(Self { users, store })
    }

    pub(super) async fn close(&self) {
        self.store.close().await;
    }

    async fn find(&self, email: &Email) -> anyhow::Result<UserId> {
        match self.users.find_user(UserKey::Email(email)).await? {
            Some(user) => Ok(user.id),
            None => bail!("no account has this address"),
        }
    }

    async fn change(&self, email: &Email, change: UserChange) -> anyhow::Result<()> {
        let id = self.find(email).await?;
        self.users.update_user(id, change, SystemClock.now()).await?;
        say("Done.")
    }
}

impl User {
    #[cfg(test)]
    pub(super) fn data(&self) -> Option<std::path::PathBuf> {
        self.store.data.clone()
    }

    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        self.store.complete();
        let location = self.store.location();
        if !matches!(self.action, Action::Add { .. }) {
            must_exist(&location)?;
        }
        let keeper = Keeper::open(&location).await?;
        let done = self.action.run(&keeper).await;
        keeper.close().await;
        done
    }
}

impl Action {
    async fn run(self, keeper: &Keeper) -> anyhow::Result<()> {
        match self {
            Self::Add { email, name, username, role } => add(keeper, email, name, username, role).await,
            Self::List => list(keeper).await,
            Self::Block { email } => keeper.change(&email, status(AccountStatus::Blocked)).await,
            Self::Unblock { email } => keeper.change(&email, status(AccountStatus::Active)).await,
            Self::LogOut { email } => {
                keeper.change(&email, UserChange { sessions: SessionsChange::EndAll, ..UserChange::default() }).await
            }
            Self::Password { email } => {
                let password_hash = Some(read_password().await?);
                keeper.change(&email, UserChange { password_hash, ..UserChange::default() }).await
            }
        }
    }
}

fn status(status: AccountStatus) -> UserChange {
    UserChange { status: Some(status), ..UserChange::default() }
}

async fn add(
    keeper: &Keeper,
    email: Email,
    name: Option<String>,
    username: Option<Username>,
    role: Role,
) -> anyhow::Result<()> {
    let username = username.map(Username::into_string);
    if let Some(username) = &username
        && keeper.users.find_user(UserKey::Username(username)).await?.is_some()
    {
        bail!("this user name is taken");
    }
    let at = SystemClock.now();
    let name = name.unwrap_or_else(|| email.local_part().to_owned());
    let new = NewUser {
        id: UserId::generate(at),
        name,
        email: Some(email),
        password_hash: Some(read_password().await?),
        role,
        status: AccountStatus::Active,
        pending_codes: PendingCodes::new(),
        profile: Profile { username, ..Profile::default() },
        at,
    };
    let user = keeper.users.create_user(new).await?;
    say(format_args!("Added {} as {}, id {}.", user.email_text(), user.role.word(), user.id))
}

async fn list(keeper: &Keeper) -> anyhow::Result<()> {
    for role in [Role::Admin, Role::Agent, Role::Customer] {
        let mut skip = 0;
        loop {
            let page = keeper.users.users_of_role(role, skip, MAX_PAGE).await?;
            for user in &page.users {
                let status = user.status.word();
                let (email, name) = (plain(user.email_text()), plain(&user.name));
                say(format_args!("{}  {:5}  {status:10}  {email}  {name}", user.id, role.word()))?;
            }
            skip += page.users.len() as u64;
            if page.users.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

/// Reads a password and hashes it.
async fn read_password() -> anyhow::Result<String> {
    let password = password::read()?;
    if password.chars().count() < 6 {
        bail!("the password must have at least 6 characters");
    }
    Ok(Passwords::default().hash(password).await?)
}
