//! A server of one's own to load: fresh accounts in a scratch data file, a child process, and nothing left behind.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::future::try_join_all;

use super::accounts::{Account, Target};
use super::options::BenchOptions;
use crate::domain::{AccountStatus, Clock, Role, SystemClock, UserId};
use crate::store::NewUser;
use crate::store::sqlite::SqliteStore;

/// How long the server may take to listen, and to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is removed when it goes out of scope.
struct Scratch(PathBuf);

impl Scratch {
    fn make(parent: Option<&Path>) -> anyhow::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = parent.join(format!("deskline-bench-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's scratch folder.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// A server that runs for one mode.
pub(super) struct OwnServer {
    /// Where it is, and who it knows.
    pub(super) target: Target,
    child: Child,
    _scratch: Scratch,
}

impl OwnServer {
    /// Makes the accounts that the options need, and starts the server on them.
    pub(super) async fn start(options: &BenchOptions) -> anyhow::Result<Self> {
        let scratch = Scratch::make(options.scratch.as_deref())?;
        let data = scratch.0.join("deskline.db");
        let accounts = seed(&scratch.0, &data, options.customers()).await?;
        let mut child =
            command(options, &data).spawn().with_context(|| format!("starting {}", options.server.display()))?;
        let url = match listening(&mut child) {
            Ok(url) => url,
            Err(error) => {
                end(&mut child);
                return Err(error);
            }
        };
        let target = Target { url, pid: Some(child.id()), accounts };
        Ok(Self { target, child, _scratch: scratch })
    }

    /// Asks the server to stop, and waits until it has.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        let asked =
            Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().context("asking the server to stop")?;
        ensure!(asked.success(), "the server had gone before it was asked to stop");
        let gave_up = Instant::now() + PATIENCE;
        while Instant::now() < gave_up {
            if let Some(status) = self.child.try_wait().context("waiting for the server")? {
                ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("the server did not stop within {PATIENCE:?}")
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a child that may have ended already.
fn end(child: &mut Child) {
    let _ended = child.kill();
    let _ended = child.wait();
}

/// Writes a data file with customers and one admin. It is made elsewhere and then moved, for the store goes on looking
/// after a file that it has opened, and this process must not do the server's work.
async fn seed(folder: &Path, data: &Path, customers: usize) -> anyhow::Result<Vec<Account>> {
    let seeds = folder.join("seeds");
    std::fs::create_dir(&seeds)?;
    let file = seeds.join("seeds.db");
    let mut accounts = Vec::new();
    {
        let store = SqliteStore::open(&file)?.stores().users;
        let now = SystemClock.now();
        let new = |index: usize| NewUser {
            id: UserId::generate(now),
            name: format!("Bench {index}"),
            email: format!("bench-{index}@bench.test").parse().ok(),
            password_hash: None,
            role: if index == 0 { Role::Admin } else { Role::Customer },
            status: AccountStatus::Active,
            pending_code: None,
            at: now,
        };
        for user in try_join_all((0..=customers).map(|index| store.create_user(new(index)))).await? {
            accounts.push(Account { id: user.id, role: user.role });
        }
    }
    let copy = rusqlite::Connection::open(&file).context("opening the seeds")?;
    copy.execute("VACUUM INTO ?1", [data.to_string_lossy()]).context("copying the seeds")?;
    drop(copy);
    std::fs::remove_dir_all(&seeds)?;
    Ok(accounts)
}

/// The server's command line, pinned to its CPU where that is possible.
fn command(options: &BenchOptions, data: &Path) -> Command {
    let mut command = if options.no_pin {
        Command::new(&options.server)
    } else {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", &options.server_cpu.to_string()]).arg(&options.server);
        pinned
    };
    command
        .args(["--listen", "127.0.0.1:0", "--jwt-secret", &options.jwt_secret, "--send-rate", "0", "--data"])
        .arg(data);
    command.args(&options.server_arg).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Waits for the line that tells the address. What the server prints afterwards is read and dropped.
fn listening(child: &mut Child) -> anyhow::Result<String> {
    let output = child.stdout.take().context("the server has no output")?;
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(start) = line.find("http://127.0.0.1:") {
                let port = line[start + 17..].chars().take_while(char::is_ascii_digit).collect::<String>();
                let _gone = tell.send(format!("http://127.0.0.1:{port}"));
            }
        }
    });
    told.recv_timeout(PATIENCE).context("the server ended, or did not say that it listens")
}
