//! A data file for servers that run one after the other.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;

use deskline::domain::Role;
use deskline::store::sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Account, PROGRAM, SECRET, STOP, ServerProcess, seed};

/// A temporary folder with a data file.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// Creates a data file with these accounts.
    pub(crate) async fn with(people: &[(&str, Role)]) -> (Self, Vec<Account>) {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        let accounts = seed(&site.data(), people).await;
        (site, accounts)
    }

    /// The data file.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("deskline.db")
    }

    /// Starts a server on the data file, with these additional flags.
    pub(crate) async fn start(&self, flags: &[&str]) -> ServerProcess {
        let mut command = Command::new(PROGRAM);
        command.args(self.usual()).args(flags);
        ServerProcess::start(command).await
    }

    /// The flags of every server.
    pub(crate) fn usual(&self) -> Vec<String> {
        let data = self.data().to_str().unwrap().to_owned();
        let usual = ["--listen", "127.0.0.1:0", "--jwt-secret", SECRET, "--data"];
        usual.into_iter().map(str::to_owned).chain([data]).collect()
    }

    /// Opens the store. No server may be running.
    pub(crate) fn store(&self) -> Arc<SqliteStore> {
        SqliteStore::open(&self.data()).unwrap()
    }
}

/// Runs the program until it exits.
pub(crate) async fn run(arguments: &[&str]) -> Output {
    let run = Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    timeout(STOP, run).await.expect("the program does not exit").unwrap()
}
