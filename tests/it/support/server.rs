//! A server in this process, over a data file of its own.

use std::path::Path;
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
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Account, SECRET, STOP, enter, make_account};
use deskline::lab::testkit::socketio::Client;

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
    running: Running,
    flags: Vec<String>,
    folder: TempDir,
}

/// What is new each time the server is started.
struct Running {
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

async fn run(data: &Path, flags: &[String], tokens: &Arc<Tokens>, clock: &Arc<dyn Clock>) -> (String, Stores, Running) {
    let usual = ["deskline", "--jwt-secret", SECRET, "--send-rate", "0", "--data", data.to_str().unwrap()];
    let arguments = usual.into_iter().map(str::to_owned).chain(flags.iter().cloned());
    let config = Cli::try_parse_from(arguments).unwrap().config.complete().unwrap();
    let store = OpenStore::Sqlite(SqliteStore::open(data).unwrap());
    let stores = store.stores();
    let (tokens, clock) = (tokens.clone(), clock.clone());
    let parts = Parts { store, tokens, clock, mailer: Arc::new(LogMailer), lock: None };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let serve = async move { app::serve(vec![listener], parts, &config, stopped).await.unwrap() };
    (url, stores, Running { stop, ended: tokio::spawn(serve) })
}

impl TestServer {
    /// A server with these flags besides the usual ones.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::start_at(flags, Arc::new(SystemClock)).await
    }

    /// A server to which another clock tells the time.
    pub(crate) async fn start_at(flags: &[&str], clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Arc::new(Tokens::new(&Secret::from(SECRET), Duration::from_hours(1)));
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let (url, stores, running) = run(&folder.path().join("deskline.db"), &flags, &tokens, &clock).await;
        Self { url, stores, tokens, clock, running, flags, folder }
    }

    /// Stops it, and starts another one on the same data file, at another address.
    pub(crate) async fn restart(&mut self) {
        self.running.stop.cancel();
        timeout(STOP, &mut self.running.ended).await.expect("the server does not stop").unwrap();
        let data = self.folder.path().join("deskline.db");
        (self.url, self.stores, self.running) = run(&data, &self.flags, &self.tokens, &self.clock).await;
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
        self.running.stop.cancel();
    }
}
