//! A data file on which one server after the other may run.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use deskline::auth::{Secret, Tokens};
use deskline::domain::{Role, SystemClock};
use deskline::store::sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Account, PROGRAM, SECRET, STOP, ServerProcess, make_account};

/// A scratch folder with a data file, on which one server after the other may run.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// A folder, and a data file with these accounts.
    ///
    /// The file is made elsewhere and copied, for a store goes on looking after a file that it has opened, and what a
    /// killed server left behind must be put right by the next one alone.
    pub(crate) async fn with(people: &[(&str, Role)]) -> (Self, Vec<Account>) {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        let accounts = site.seed(&site.data(), people).await;
        (site, accounts)
    }

    /// Makes a data file with these accounts at `data`.
    pub(crate) async fn seed(&self, data: &Path, people: &[(&str, Role)]) -> Vec<Account> {
        let seeds = tempfile::tempdir().unwrap();
        let file = seeds.path().join("seeds.db");
        let tokens = Tokens::new(&Secret::from(SECRET), Duration::from_hours(1));
        let users = SqliteStore::open(&file).unwrap().stores().users;
        let mut accounts = Vec::new();
        for (name, role) in people {
            accounts.push(make_account(&*users, &tokens, &SystemClock, name, *role).await);
        }
        let copy = rusqlite::Connection::open(&file).unwrap();
        copy.execute("VACUUM INTO ?1", [data.to_str().unwrap()]).unwrap();
        accounts
    }

    /// The data file.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("deskline.db")
    }

    /// Starts a server here, with these flags besides the usual ones.
    pub(crate) async fn start(&self, flags: &[&str]) -> ServerProcess {
        let mut command = Command::new(PROGRAM);
        command.args(self.usual()).args(flags);
        ServerProcess::start(command).await
    }

    /// The flags that every server here has.
    pub(crate) fn usual(&self) -> Vec<String> {
        let data = self.data().to_str().unwrap().to_owned();
        let usual = ["--listen", "127.0.0.1:0", "--jwt-secret", SECRET, "--data"];
        usual.into_iter().map(str::to_owned).chain([data]).collect()
    }

    /// The store on the data file. For when no server runs here any more.
    pub(crate) fn store(&self) -> Arc<SqliteStore> {
        SqliteStore::open(&self.data()).unwrap()
    }
}

/// Runs the program to its end.
pub(crate) async fn run(arguments: &[&str]) -> Output {
    let run = Command::new(PROGRAM).args(arguments).kill_on_drop(true).output();
    timeout(STOP, run).await.expect("the program does not end").unwrap()
}
