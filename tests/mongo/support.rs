//! A database per test, and servers on it.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use deskline::auth::{Secret, Tokens};
use deskline::domain::{Clock as _, Role, SystemClock, UserId};
use deskline::lab::prove::{Crowd, Invariant, Outcome, Person};
use deskline::lab::testkit::socketio::Client;
use deskline::store::OpenStore;
use deskline::store::mongo::MongoStore;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::shared::{Account, PROGRAM, SECRET, ServerProcess, make_account};

/// Timeout of anything that has to happen eventually.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Pause before a retry.
const AGAIN: Duration = Duration::from_millis(100);

/// The database server. If there is none, prints a warning; in CI, fails.
#[expect(clippy::disallowed_methods, reason = "names the server that the suite runs on")]
pub(crate) fn database_server() -> Option<String> {
    static SAID: Once = Once::new();
    if let Some(uri) = std::env::var("DESKLINE_TEST_MONGO_URI").ok().filter(|uri| !uri.is_empty()) {
        return Some(uri);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "DESKLINE_TEST_MONGO_URI is not set: no MongoDB to test on");
    SAID.call_once(|| {
        // The test harness would capture the output of a macro.
        let text =
            "\n*** The tests of the program on MongoDB were SKIPPED: DESKLINE_TEST_MONGO_URI is not set. ***\n\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    });
    None
}

/// Whether the suite can run.
pub(crate) fn is_there_a_server() -> bool {
    database_server().is_some()
}

/// A database for one test.
pub(crate) struct Site {
    /// Name of the database.
    pub(crate) name: String,
    /// URI of the database server, without a database.
    pub(crate) server: String,
    folder: TempDir,
}

impl Site {
    /// A new database; `None` if there is no database server.
    pub(crate) fn new() -> Option<Self> {
        Some(Self::at(&database_server()?))
    }

    /// The same, with these accounts.
    pub(crate) async fn with(people: &[(&str, Role)]) -> Option<(Self, Vec<Account>)> {
        Some(Self::on(&database_server()?, people).await)
    }

    /// A new name on the database server at `uri`, with these accounts.
    pub(crate) async fn on(uri: &str, people: &[(&str, Role)]) -> (Self, Vec<Account>) {
        let site = Self::at(uri);
        let store = site.store().await;
        let tokens = Tokens::new(&Secret::from(SECRET), Duration::from_hours(1));
        let mut accounts = Vec::new();
        for (name, role) in people {
            accounts.push(make_account(&*store.stores().users, &tokens, &SystemClock, name, *role).await);
        }
        store.close().await;
        (site, accounts)
    }

    fn at(uri: &str) -> Self {
        let name = format!("deskline_test_{}", UserId::generate(SystemClock.now()));
        Self { name, server: with_database(uri, ""), folder: tempfile::tempdir().unwrap() }
    }

    /// URI of the database.
    pub(crate) fn uri(&self) -> String {
        with_database(&self.server, &self.name)
    }

    /// Opens the store directly.
    pub(crate) async fn store(&self) -> Arc<MongoStore> {
        MongoStore::open(&self.uri(), "unused").await.unwrap()
    }

    /// The host and port of the database server.
    pub(crate) fn host(&self) -> String {
        let hosts = self.server.split("://").nth(1).unwrap().split('/').next().unwrap();
        let host = hosts.rsplit('@').next().unwrap().split(',').next().unwrap();
        if host.contains(':') { host.to_owned() } else { format!("{host}:27017") }
    }

    /// The database, through the driver.
    pub(crate) async fn raw(&self) -> mongodb::Database {
        mongodb::Client::with_uri_str(&self.server).await.unwrap().database(&self.name)
    }

    /// Starts a server on the database.
    pub(crate) async fn start(&self) -> ServerProcess {
        self.start_on(&self.uri()).await
    }

    /// Starts a server that reaches the database through another URI.
    pub(crate) async fn start_on(&self, uri: &str) -> ServerProcess {
        let server = ServerProcess::start(self.command(uri)).await;
        becomes_ready(&server, PATIENCE).await;
        server
    }

    /// The command line of a server.
    pub(crate) fn command(&self, uri: &str) -> Command {
        self.serve(&["--mongodb-uri", uri])
    }

    /// The command line of a server with these additional flags.
    pub(crate) fn serve(&self, flags: &[&str]) -> Command {
        let mut command = self.program(&["--listen", "127.0.0.1:0", "--send-rate", "0", "--jwt-secret", SECRET]);
        command.args(flags);
        command
    }

    /// The program with these arguments, in the test's folder.
    pub(crate) fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().current_dir(self.folder()).args(words).kill_on_drop(true);
        command
    }

    /// The test's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Compares what people sent and received with what is stored. Returns how many messages were acknowledged.
    pub(crate) async fn assert_consistent(&self, agent: &Account, outcome: &Outcome) -> u64 {
        let store = OpenStore::Mongo(self.store().await);
        let invariants = outcome.check(&store, agent.id).await.unwrap();
        store.close().await;
        for Invariant { says, broken, .. } in &invariants {
            assert!(broken.is_empty(), "{says}: {broken:#?}");
        }
        outcome.acknowledged()
    }

    /// Drops the database. Not called if a test fails, so that it can be inspected.
    pub(crate) async fn remove(self) {
        self.raw().await.drop().await.unwrap();
    }
}

/// Replaces the database of a URI.
fn with_database(uri: &str, name: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap();
    let (rest, options) = rest.split_once('?').map_or((rest, String::new()), |(rest, all)| (rest, format!("?{all}")));
    let hosts = rest.split('/').next().unwrap();
    format!("{scheme}://{hosts}/{name}{options}")
}

/// Status of a probe; 0 if there is no response.
pub(crate) async fn probe(url: &str, what: &str) -> u16 {
    reqwest::get(format!("{url}/{what}")).await.map_or(0, |answer| answer.status().as_u16())
}

/// Waits until `/readyz` succeeds.
pub(crate) async fn becomes_ready(server: &ServerProcess, deadline: Duration) {
    let until = Instant::now() + deadline;
    while probe(&server.url, "readyz").await != 200 {
        assert!(Instant::now() < until, "the server does not become ready: {}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until `/readyz` fails.
pub(crate) async fn becomes_unready(server: &ServerProcess, deadline: Duration) {
    let until = Instant::now() + deadline;
    while probe(&server.url, "readyz").await == 200 {
        assert!(Instant::now() < until, "`/readyz` does not fail within {deadline:?}: {}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Retries while the store is unavailable. A slow database server counts as unavailable, too.
pub(crate) async fn insist(ask: impl AsyncFn() -> Value) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if answer["code"] != "storage_unavailable" {
            return answer;
        }
        assert!(Instant::now() < until, "the store stays unavailable: {answer}");
        tokio::time::sleep(AGAIN).await;
    }
}

/// A client that has authenticated.
pub(crate) async fn enter(server: &ServerProcess, token: &str) -> Client {
    let client = Client::connect(&server.url).await.unwrap();
    let answer = insist(async || client.authenticate(token).await.unwrap()).await;
    assert_eq!(answer["success"], true, "{answer}");
    client
}

/// Sends a message until it is acknowledged, and returns the acknowledgement. Its text is also its client id, so it is stored once.
pub(crate) async fn send_message(client: &Client, to: &str, message: &str) -> Value {
    let ask = json!({"receiverId": to, "message": message, "clientMessageId": message});
    let answer = insist(async || client.emit_ack("send-message", ask.clone()).await.unwrap()).await;
    assert_eq!(answer["ok"], true, "{answer}");
    answer
}

/// Lets these people send messages without a pause, spread over the servers at `urls`.
pub(crate) fn talk(accounts: &[Account], urls: &[&str]) -> Crowd {
    let person = |account: &Account| {
        let Account { id, role, token, .. } = account.clone();
        Person { id: id.to_string(), role, token }
    };
    Crowd::of_people(&accounts.iter().map(person).collect::<Vec<_>>(), urls)
}

/// After the database failed for a while and the server did not: nothing acknowledged is lost or duplicated, and no connection
/// was closed.
pub(crate) async fn assert_nothing_lost(site: &Site, agent: &Account, outcome: &Outcome) {
    assert_eq!(outcome.reconnects(), 0, "connections were closed");
    site.assert_consistent(agent, outcome).await;
}

/// If the database was unavailable for longer than requests wait for it, some were refused. If it was back sooner, all of them may
/// have been answered late instead.
pub(crate) fn assert_some_refused(outcome: &Outcome) {
    assert!(outcome.refused() > 0, "no request was refused while the store was unavailable");
}

/// Stops a server and returns its log.
pub(crate) async fn stop(server: ServerProcess) -> String {
    server.signal("TERM").await;
    let (status, log) = server.ended().await;
    assert!(status.success(), "{log}");
    // When the runtime shuts down, tasks of the driver are dropped one by one, and panic on results of dropped ones.
    let (running, stopping) =
        log.split_once("Stopping").unwrap_or_else(|| panic!("the log does not say that the server stops:\n{log}"));
    let of_ours = |line: &str| line.contains("panicked") && !line.contains("/mongodb-");
    assert!(!running.contains("panicked") && !stopping.lines().any(of_ours), "{log}");
    log
}
