//! A server in this process, over a data file of its own.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use deskline::app::{self, Parts};
use deskline::auth::{Secret, Tokens};
use deskline::config::Config;
use deskline::domain::{Clock, Role, SystemClock};
use deskline::mail::LogMailer;
use deskline::store::sqlite::SqliteStore;
use deskline::store::{OpenStore, Stores};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Account, SECRET, enter, make_account};
use deskline::rig::client::Client;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

/// Serves until it is dropped.
pub(crate) struct TestServer {
    pub(crate) url: String,
    pub(crate) stores: Stores,
    tokens: Arc<Tokens>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    folder: TempDir,
}

impl TestServer {
    /// A server with these flags besides the usual ones.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::start_at(flags, Arc::new(SystemClock)).await
    }

    /// A server to which another clock tells the time.
    pub(crate) async fn start_at(flags: &[&str], clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deskline.db");
        let usual = ["deskline", "--jwt-secret", SECRET, "--send-rate", "0", "--data", data.to_str().unwrap()];
        let config = Cli::try_parse_from(usual.iter().chain(flags)).unwrap().config.complete().unwrap();
        let store = OpenStore::Sqlite(SqliteStore::open(&data).unwrap());
        let stores = store.stores();
        let tokens = Arc::new(Tokens::new(&Secret::from(SECRET), Duration::from_hours(1)));
        let parts =
            Parts { store, tokens: tokens.clone(), clock: clock.clone(), mailer: Arc::new(LogMailer), lock: None };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { app::serve(vec![listener], parts, &config, stopped).await.unwrap() });
        Self { url, stores, tokens, clock, stop, folder }
    }

    /// Makes an account.
    pub(crate) async fn account(&self, name: &str, role: Role) -> Account {
        make_account(&*self.stores.users, &self.tokens, &*self.clock, name, role).await
    }

    /// Makes a customer.
    pub(crate) async fn customer(&self, name: &str) -> Account {
        self.account(name, Role::Customer).await
    }

    /// Makes an admin, who answers customers.
    pub(crate) async fn agent(&self, name: &str) -> Account {
        self.account(name, Role::Admin).await
    }

    /// A client of this account: connected and authenticated.
    pub(crate) async fn enter(&self, account: &Account) -> Client {
        enter(&self.url, account).await
    }

    /// The data file, for other processes.
    pub(crate) fn data(&self) -> String {
        self.folder.path().join("deskline.db").to_str().unwrap().to_owned()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
