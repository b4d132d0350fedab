//! A database server of a single test, which can kill it and make it fail on command.

use std::path::Path;
use std::time::Duration;

use bson::{Bson, Document, doc};
use mongodb::Client;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Timeout for it to start, including its installation.
const START: Duration = Duration::from_mins(2);

/// Names of write commands on the wire.
const WRITES: [&str; 3] = ["insert", "update", "findAndModify"];

/// How the server fails the next writes.
pub(crate) enum Failure {
    /// Refuse them with this code, without applying them.
    Refuse(i32),
    /// Apply them, and report with this code that they are not confirmed.
    DoAndDoubt(i32),
    /// Break the connection.
    ConnectionHandle,
}

/// A server process with persistent data. Killed on drop.
pub(crate) struct OwnDatabase {
    port: u16,
    flags: Vec<String>,
    data: TempDir,
    child: Child,
}

impl OwnDatabase {
    /// Starts an empty one, with these additional flags.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let data = tempfile::tempdir().unwrap();
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let child = run(port, &flags, data.path()).await;
        Self { port, flags, data, child }
    }

    /// Its URI, without a database.
    ///
    /// In polling mode, because this server, unlike a real one, does not push changes of its state: the driver would
    /// consider it unavailable until its next check, ten seconds later.
    pub(crate) fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true&serverMonitoringMode=poll", self.port)
    }

    /// Kills it, like a power cut.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again on the same port and data.
    pub(crate) async fn restart(&mut self) {
        self.child = run(self.port, &self.flags, self.data.path()).await;
    }

    /// Makes the next writes fail.
    pub(crate) async fn fail(&self, times: i32, how: &Failure) {
        self.fail_point(doc! { "times": times }, how).await;
    }

    /// Makes all writes fail, until [`OwnDatabase::heal`].
    pub(crate) async fn fail_always(&self, how: &Failure) {
        self.fail_point("alwaysOn", how).await;
    }

    /// Lets writes through again.
    pub(crate) async fn heal(&self) {
        self.command(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await;
    }

    async fn fail_point(&self, mode: impl Into<Bson>, how: &Failure) {
        let mut data = doc! { "failCommands": WRITES.to_vec() };
        match how {
            Failure::Refuse(code) => drop(data.insert("errorCode", *code)),
            Failure::DoAndDoubt(code) => {
                data.insert("writeConcernError", doc! { "code": *code, "errmsg": "the primary is stepping down" });
            }
            Failure::ConnectionHandle => drop(data.insert("closeConnection", true)),
        }
        if !matches!(how, Failure::ConnectionHandle) {
            data.insert("errorLabels", vec!["RetryableWriteError"]);
        }
        self.command(doc! { "configureFailPoint": "failCommand", "mode": mode.into(), "data": data }).await;
    }

    async fn command(&self, command: Document) {
        let client = Client::with_uri_str(self.uri()).await.unwrap();
        client.database("admin").run_command(command).await.unwrap();
        client.shutdown().await;
    }
}

async fn run(port: u16, flags: &[String], data: &Path) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-mongo-server");
    let mut command = Command::new(script);
    command.arg("run").arg(port.to_string()).arg(data).args(flags).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + START;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the database server has ended");
        assert!(Instant::now() < until, "the database server does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    child
}
