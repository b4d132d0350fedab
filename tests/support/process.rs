//! The server as a process.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Timeout for a server to start. It may have to hash passwords or to migrate a database first.
const START: Duration = Duration::from_mins(2);

/// Timeout for a server to stop. Its own deadline is a little shorter.
pub(crate) const STOP: Duration = Duration::from_secs(30);

/// Path of the program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_deskline");

/// A running server. Killed on drop.
pub(crate) struct ServerProcess {
    /// Where it listens: `http://HOST:PORT`.
    pub(crate) url: String,
    /// All addresses, if it listens at several.
    pub(crate) urls: Vec<String>,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl ServerProcess {
    /// Runs the command and waits until it prints where it listens.
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
        let mut urls = Vec::new();
        let find_urls = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                match line.split_once("listens on ") {
                    Some((_, url)) => urls.push(url.to_owned()),
                    None if urls.is_empty() => {}
                    None => break,
                }
            }
        };
        timeout(START, find_urls).await.expect("the server does not print where it listens");
        let Some(url) = urls.first().cloned() else { panic!("the server ended: {}", log.lock()) };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url, urls, child, log }
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal, such as `TERM` or `KILL`.
    pub(crate) async fn signal(&self, name: &str) {
        let (signal, pid) = (format!("-{name}"), self.pid().to_string());
        let sent = Command::new("sh").args(["-c", "kill \"$0\" \"$1\"", &signal, &pid]).status().await.unwrap();
        assert!(sent.success(), "the server had exited before");
    }

    /// Waits for its exit. Returns the status and its log.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let status = timeout(STOP, self.child.wait()).await.expect("the server does not exit").unwrap();
        (status, self.log())
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().clone()
    }
}
