//! A database of its own for each test, and the program on it.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use deskline::auth::{Secret, Tokens};
use deskline::domain::{Clock as _, Role, SystemClock, UserId};
use deskline::lab::testkit::socketio::Client;
use deskline::store::OpenStore;
use deskline::store::mongo::MongoStore;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::compare::compare;
use crate::shared::{Account, PROGRAM, SECRET, ServerProcess, make_account};
use crate::talker::Ledger;

/// How long anything may take that has to happen sooner or later.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before something is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// The database server, if there is one. If there is none, that is said aloud, and where all tests must run it is a failure.
#[expect(clippy::disallowed_methods, reason = "names the server that the suite runs on")]
pub(crate) fn database_server() -> Option<String> {
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

/// Whether the suite runs at all.
pub(crate) fn is_there_a_server() -> bool {
    database_server().is_some()
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

    /// The database's address.
    pub(crate) fn uri(&self) -> String {
        with_database(&self.server, &self.name)
    }

    /// The store, past any program.
    pub(crate) async fn store(&self) -> Arc<MongoStore> {
        MongoStore::open(&self.uri(), "unused").await.unwrap()
    }

    /// The host and port of the database server.
    pub(crate) fn host(&self) -> String {
        let hosts = self.server.split("://").nth(1).unwrap().split('/').next().unwrap();
        let host = hosts.rsplit('@').next().unwrap().split(',').next().unwrap();
        if host.contains(':') { host.to_owned() } else { format!("{host}:27017") }
    }

    /// The database itself.
    pub(crate) async fn raw(&self) -> mongodb::Database {
        mongodb::Client::with_uri_str(&self.server).await.unwrap().database(&self.name)
    }

    /// Starts a server on the database.
    pub(crate) async fn start(&self) -> ServerProcess {
        self.start_on(&self.uri()).await
    }

    /// Starts a server that reaches the database by another address.
    pub(crate) async fn start_on(&self, uri: &str) -> ServerProcess {
        let server = ServerProcess::start(self.command(uri)).await;
        becomes_ready(&server, PATIENCE).await;
        server
    }

    /// A server's command line.
    pub(crate) fn command(&self, uri: &str) -> Command {
        self.serve(&["--mongodb-uri", uri])
    }

    /// The command line of a server with these flags besides the usual ones.
    pub(crate) fn serve(&self, flags: &[&str]) -> Command {
        let mut command = self.program(&["--listen", "127.0.0.1:0", "--send-rate", "0", "--jwt-secret", SECRET]);
        command.args(flags);
        command
    }

    /// The program with these words, in a folder of its own.
    pub(crate) fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().current_dir(self.folder()).args(words).kill_on_drop(true);
        command
    }

    /// That folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Compares what people were told with what is kept. Gives how much was acknowledged.
    pub(crate) async fn compare(&self, agent: &Account, ledgers: &[(Account, Ledger)]) -> usize {
        let opened = OpenStore::Mongo(self.store().await);
        let acked = compare(&opened, agent, ledgers).await;
        opened.close().await;
        acked
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

/// What a probe of a server answers now, 0 if nothing.
pub(crate) async fn probe(url: &str, what: &str) -> u16 {
    reqwest::get(format!("{url}/{what}")).await.map_or(0, |answer| answer.status().as_u16())
}

/// Waits until `/readyz` is green.
pub(crate) async fn becomes_ready(server: &ServerProcess, deadline: Duration) {
    let until = Instant::now() + deadline;
    while probe(&server.url, "readyz").await != 200 {
        assert!(Instant::now() < until, "the server does not become ready: {}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until `/readyz` is red.
pub(crate) async fn becomes_unready(server: &ServerProcess, deadline: Duration) {
    let until = Instant::now() + deadline;
    while probe(&server.url, "readyz").await == 200 {
        assert!(Instant::now() < until, "readiness does not turn red within {deadline:?}: {}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks until the store has answered. A database server that is slow is truly called away, and then the client has to ask again.
pub(crate) async fn insist(ask: impl AsyncFn() -> Value) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if answer["code"] != "storage_unavailable" {
            return answer;
        }
        assert!(Instant::now() < until, "the store stays away: {answer}");
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

/// Sends a message until it is acknowledged, and gives the acknowledgement. Its text is its name as well, so it is kept once.
pub(crate) async fn say(client: &Client, to: &str, message: &str) -> Value {
    let ask = json!({"receiverId": to, "message": message, "clientMessageId": message});
    let answer = insist(async || client.emit_ack("send-message", ask.clone()).await.unwrap()).await;
    assert_eq!(answer["ok"], true, "{answer}");
    answer
}

/// What must be true after the database failed for a while and the server did not: nothing acknowledged is lost or doubled,
/// and nobody lost the socket.
pub(crate) async fn told_the_truth(site: &Site, agent: &Account, ledgers: &[(Account, Ledger)]) {
    for (who, ledger) in ledgers {
        assert_eq!(ledger.connections, 1, "{} lost the socket", who.name);
    }
    site.compare(agent, ledgers).await;
}

/// Where the database was away for longer than anybody waits for it, somebody was told so. Where it came back sooner, those whose
/// messages were still waiting may all have got a late true answer instead.
pub(crate) fn somebody_was_refused(ledgers: &[(Account, Ledger)]) {
    let refused: u64 = ledgers.iter().map(|(_, ledger)| ledger.refused).sum();
    assert!(refused > 0, "nobody was told that the store is away");
}

/// Asks a server to stop, and waits until it has; gives what it logged.
pub(crate) async fn stop(server: ServerProcess) -> String {
    server.signal("TERM").await;
    let (status, log) = server.ended().await;
    assert!(status.success(), "{log}");
    // While the runtime ends, the driver's tasks are dropped one by one, and unwrap what the dropped ones owed them.
    let (running, stopping) =
        log.split_once("Stopping").unwrap_or_else(|| panic!("it does not say that it stops:\n{log}"));
    let of_ours = |line: &str| line.contains("panicked") && !line.contains("/mongodb-");
    assert!(!running.contains("panicked") && !stopping.lines().any(of_ours), "{log}");
    log
}
