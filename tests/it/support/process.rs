//! The program itself, as a process that can be killed.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deskline::auth::{Secret, Tokens};
use deskline::domain::{Role, SystemClock};
use deskline::store::sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Account, SECRET, make_account};

/// How long a server may take to start; a demo hashes passwords first.
const START: Duration = Duration::from_mins(1);

/// Where the program is.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_deskline");

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

/// A running server. Killed when it is dropped.
pub(crate) struct ServerProcess {
    pub(crate) url: String,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl ServerProcess {
    /// Runs the command until it says where it listens.
    pub(crate) async fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut stderr = child.stderr.take().unwrap();
        let kept = log.clone();
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
        let url = timeout(START, find_url).await.expect("the server does not say where it listens");
        let Some(url) = url else { panic!("the server ended: {}", log.lock().unwrap()) };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url, child, log }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Ends it at once, as a power cut would.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to stop.
    pub(crate) async fn terminate(&self) {
        let pid = self.pid().to_string();
        let asked = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().await.unwrap();
        assert!(asked.success(), "the server had gone before it was asked to stop");
    }

    /// Waits until it has ended; gives how, and what it logged.
    pub(crate) async fn ended(mut self, deadline: Duration) -> (ExitStatus, String) {
        let status = timeout(deadline, self.child.wait()).await.expect("the server does not end").unwrap();
        (status, self.log())
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}
