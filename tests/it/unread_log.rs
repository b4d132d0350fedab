//! A log output that nobody reads, or that cannot be written, blocks nothing.
#![cfg(target_os = "linux")]

use std::fs::OpenOptions;
use std::process::{ExitStatus, Stdio};

use deskline::domain::Role;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::support::{Account, PROGRAM, SOON, STOP, Site, enter};

/// A server of whose greeting only the first line is read, as by `head -1`.
struct Unread {
    url: String,
    child: Child,
}

impl Unread {
    async fn start(site: &Site, stderr: Stdio) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(site.usual()).args(["--send-rate", "0", "--log", "trace"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = timeout(STOP, lines.next_line()).await.expect("it does not start").unwrap().unwrap();
        Self { url: first.rsplit(' ').next().unwrap().to_owned(), child }
    }

    fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    /// Makes the server log a lot, and checks that it works meanwhile.
    async fn talk(&self, [ada, ann]: &[Account; 2]) {
        let (desk, customer) = (enter(&self.url, ada).await, enter(&self.url, ann).await);
        for n in 0..200 {
            let text = json!({"receiverId": ada.id.to_string(), "message": format!("{n} {}", "x".repeat(2000))});
            let answer = customer.emit_ack("send-message", text).await.expect("the log blocks the server");
            assert_eq!(answer["ok"], true, "{answer}");
            desk.wait_for("receive-message", SOON).await.unwrap();
        }
    }

    async fn stop(mut self, signal: &str) -> ExitStatus {
        let (signal, pid) = (format!("-{signal}"), self.child.id().unwrap().to_string());
        assert!(Command::new("sh").args(["-c", "kill \"$0\" \"$1\"", &signal, &pid]).status().await.unwrap().success());
        timeout(STOP, self.child.wait()).await.expect("it ignores the signal").unwrap()
    }
}

async fn site() -> (Site, [Account; 2]) {
    let (site, people) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer)]).await;
    (site, people.try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_on_a_full_disk_stops_neither_messages_nor_signals() {
    let (site, people) = site().await;
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = Unread::start(&site, full.into()).await;
    server.talk(&people).await;
    assert_eq!(server.stop("TERM").await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_log_pipe_blocks_neither_messages_nor_signals() {
    let (site, people) = site().await;
    let mut server = Unread::start(&site, Stdio::piped()).await;
    drop(server.stderr());
    server.talk(&people).await;
    assert_eq!(server.stop("INT").await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_pipe_blocks_neither_messages_nor_signals() {
    let (site, people) = site().await;
    let mut server = Unread::start(&site, Stdio::piped()).await;
    let _unread = server.stderr();
    server.talk(&people).await;
    assert_eq!(server.stop("TERM").await.code(), Some(0));
}
