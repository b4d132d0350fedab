//! A database of its own for each test, and the program on it.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use deskline::auth::{Secret, Tokens};
use deskline::domain::{AccountStatus, Clock as _, Role, SystemClock, UserId};
use deskline::store::NewUser;
use deskline::store::mongo::MongoStore;
use mongodb::Client;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

pub(crate) const SECRET: &str = "a secret for tests alone";

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// The database server, if there is one. If there is none, that is said aloud, and where all tests must run it is a failure.
#[expect(clippy::disallowed_methods, reason = "names the server that the suite runs on")]
fn database_server() -> Option<String> {
    static SAID: Once = Once::new();
    if let Some(uri) = std::env::var("DESKLINE_TEST_MONGO_URI").ok().filter(|uri| !uri.is_empty()) {
        return Some(uri);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "DESKLINE_TEST_MONGO_URI is not set: no MongoDB to test on");
    SAID.call_once(|| {
        // Not by a macro: the test harness would keep that for itself.
        let text =
            "\n*** The tests of the program on MongoDB were LEFT OUT: DESKLINE_TEST_MONGO_URI is not set. ***\n\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    });
    None
}

/// Somebody with an account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) token: String,
}

/// A database on which one server after the other may run.
pub(crate) struct Site {
    /// The database's name.
    pub(crate) name: String,
    /// Its server, without a database.
    pub(crate) server: String,
    folder: TempDir,
}

impl Site {
    /// A new name on the database server; `None` if there is no server.
    pub(crate) fn new() -> Option<Self> {
        let uri = database_server()?;
        let name = format!("deskline_test_{}", UserId::generate(SystemClock.now()));
        Some(Self { name, server: with_database(&uri, ""), folder: tempfile::tempdir().unwrap() })
    }

    /// The same, with these accounts.
    pub(crate) async fn with(people: &[(&str, Role)]) -> Option<(Self, Vec<Account>)> {
        let site = Self::new()?;
        let store = site.store().await;
        let tokens = Tokens::new(&Secret::from(SECRET), Duration::from_hours(1));
        let mut accounts = Vec::new();
        for (name, role) in people {
            let at = SystemClock.now();
            let new = NewUser {
                id: UserId::generate(at),
                name: (*name).into(),
                email: Some(format!("{name}@x.test").parse().unwrap()),
                password_hash: None,
                role: *role,
                status: AccountStatus::Active,
                pending_code: None,
                at,
            };
            let user = store.stores().users.create_user(new).await.unwrap();
            let token = tokens.issue(&user, at);
            accounts.push(Account { id: user.id, name: user.name, role: *role, token });
        }
        store.close().await;
        Some((site, accounts))
    }

    /// The database's address.
    pub(crate) fn uri(&self) -> String {
        with_database(&self.server, &self.name)
    }

    /// The store, past any program.
    pub(crate) async fn store(&self) -> Arc<MongoStore> {
        MongoStore::open(&self.uri(), "unused").await.unwrap()
    }

    /// The database itself.
    pub(crate) async fn raw(&self) -> mongodb::Database {
        Client::with_uri_str(&self.server).await.unwrap().database(&self.name)
    }

    /// Starts a server on the database.
    pub(crate) async fn start(&self) -> Server {
        self.start_on(&self.uri()).await
    }

    /// Starts a server that reaches the database by another address.
    pub(crate) async fn start_on(&self, uri: &str) -> Server {
        let server = Server::start(self.command(uri)).await;
        server.becomes_ready(PATIENCE).await;
        server
    }

    /// A server's command line.
    pub(crate) fn command(&self, uri: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deskline"));
        command.env_clear().current_dir(self.folder.path());
        command.args(["--listen", "127.0.0.1:0", "--send-rate", "0", "--jwt-secret", SECRET, "--mongodb-uri", uri]);
        command
    }

    /// Drops the database. Not called when a test fails, so that it can be looked at.
    pub(crate) async fn remove(self) {
        self.raw().await.drop().await.unwrap();
    }
}

/// The address with this database in the place of its own.
fn with_database(uri: &str, name: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap();
    let (rest, options) = rest.split_once('?').map_or((rest, String::new()), |(rest, all)| (rest, format!("?{all}")));
    let hosts = rest.split('/').next().unwrap();
    format!("{scheme}://{hosts}/{name}{options}")
}

/// A running server. Killed when it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Runs the command until it says where it listens.
    pub(crate) async fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (mut stderr, kept) = (child.stderr.take().unwrap(), log.clone());
        tokio::spawn(async move {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut part).await {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&part[..count]));
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let find_url = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, url)) = line.split_once("listens on ") {
                    return Some(url.to_owned());
                }
            }
            None
        };
        let Ok(Some(url)) = timeout(PATIENCE, find_url).await else {
            panic!("the server ended, or does not say where it listens: {}", log.lock().unwrap())
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url, child, log }
    }

    /// What `/readyz` answers now.
    pub(crate) async fn readiness(&self) -> u16 {
        self.probe("readyz").await
    }

    /// What a probe answers now.
    pub(crate) async fn probe(&self, what: &str) -> u16 {
        reqwest::get(format!("{}/{what}", self.url)).await.map_or(0, |answer| answer.status().as_u16())
    }

    /// Waits until `/readyz` is green.
    pub(crate) async fn becomes_ready(&self, deadline: Duration) {
        let until = Instant::now() + deadline;
        while self.readiness().await != 200 {
            assert!(Instant::now() < until, "the server does not become ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends it at once, as a power cut would.
    pub(crate) async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        self.log()
    }

    /// Asks it to stop, and waits until it has; gives what it logged.
    pub(crate) async fn stop(mut self) -> String {
        let pid = self.child.id().unwrap().to_string();
        let asked = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().await.unwrap();
        assert!(asked.success(), "the server had gone before it was asked to stop");
        let status = timeout(PATIENCE, self.child.wait()).await.expect("the server does not end").unwrap();
        assert!(status.success(), "{}", self.log());
        self.log()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}
