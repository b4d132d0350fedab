//! The server in this process, with a separate data file. Each suite adds what its clients need.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use deskline::app::{self, Parts};
use deskline::auth::{Secret, Tokens};
use deskline::config::Config;
use deskline::domain::Clock;
use deskline::mail::{Mail, MailError, Mailer};
use deskline::store::sqlite::SqliteStore;
use deskline::store::{OpenStore, Stores};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::SECRET;
use super::process::STOP;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

/// A running server; stopped on drop.
pub(crate) struct TestServer {
    /// `http://HOST:PORT`.
    pub(crate) url: String,
    pub(crate) stores: Stores,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) http: reqwest::Client,
    /// Mails that it has sent.
    pub(crate) mails: Mutex<mpsc::UnboundedReceiver<Mail>>,
    outbox: Outbox,
    flags: Vec<String>,
    folder: TempDir,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Passes mails on to the test.
#[derive(Clone)]
struct Outbox(mpsc::UnboundedSender<Mail>);

#[async_trait]
impl Mailer for Outbox {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        self.0.send(mail).map_err(|_| MailError::NotAccepted("the test is over".into()))
    }
}

impl TestServer {
    /// Starts a server on the data file in this folder, which is created if it does not exist.
    pub(crate) async fn open(folder: TempDir, flags: &[&str], clock: Arc<dyn Clock>) -> Self {
        let store = SqliteStore::open(&folder.path().join("deskline.db")).unwrap();
        let (outbox, mails) = mpsc::unbounded_channel();
        let mut server = Self {
            url: String::new(),
            stores: store.stores(),
            tokens: Arc::new(Tokens::new(&Secret::from(SECRET), Duration::from_hours(1))),
            clock,
            http: reqwest::Client::new(),
            mails: Mutex::new(mails),
            outbox: Outbox(outbox),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            folder,
            stop: CancellationToken::new(),
            task: tokio::spawn(async {}),
        };
        server.serve(OpenStore::Sqlite(store)).await;
        server
    }

    async fn serve(&mut self, store: OpenStore) {
        let usual = ["deskline", "--jwt-secret", SECRET, "--data", &self.data()].map(str::to_owned);
        let config = Cli::try_parse_from(usual.iter().chain(&self.flags)).unwrap().config.complete().unwrap();
        let (tokens, clock) = (self.tokens.clone(), self.clock.clone());
        let parts = Parts { store, tokens, clock, mailer: Arc::new(self.outbox.clone()), lock: None };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.url = format!("http://{}", listener.local_addr().unwrap());
        self.stop = CancellationToken::new();
        let stop = self.stop.clone();
        self.task = tokio::spawn(async move { app::serve(vec![listener], parts, &config, stop).await.unwrap() });
    }

    /// Stops it and starts another one on the same data file, at another address.
    pub(crate) async fn restart(&mut self) {
        self.stop();
        timeout(STOP, &mut self.task).await.expect("the server does not stop").unwrap();
        let store = SqliteStore::open(Path::new(&self.data())).unwrap();
        self.stores = store.stores();
        self.serve(OpenStore::Sqlite(store)).await;
    }

    /// Begins to stop it gracefully.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// The data file.
    pub(crate) fn data(&self) -> String {
        self.folder.path().join("deskline.db").to_str().unwrap().to_owned()
    }

    /// The folder of the data file.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}
