//! The program itself, as a process that can be killed.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a server may take to start; it may have to hash passwords first, or to take an old database in.
const START: Duration = Duration::from_mins(2);

/// How long a server may take to stop. It allows itself most of that.
pub(crate) const STOP: Duration = Duration::from_secs(30);

/// Where the program is.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_deskline");

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
                kept.lock().push_str(&String::from_utf8_lossy(&part[..count]));
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
        let Some(url) = url else { panic!("the server ended: {}", log.lock()) };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url, child, log }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends it a signal: `TERM` asks it to stop, `KILL` ends it as a power cut would.
    pub(crate) async fn signal(&self, name: &str) {
        let (signal, pid) = (format!("-{name}"), self.pid().to_string());
        let sent = Command::new("sh").args(["-c", "kill \"$0\" \"$1\"", &signal, &pid]).status().await.unwrap();
        assert!(sent.success(), "the server had gone before");
    }

    /// Waits until it has ended; gives how, and what it logged.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let status = timeout(STOP, self.child.wait()).await.expect("the server does not end").unwrap();
        (status, self.log())
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().clone()
    }
}
