//! The server as a process with accounts, whose log and memory can be read.

use std::time::Duration;

use deskline::auth::{Secret, Tokens};
use deskline::domain::{Clock as _, Role, SystemClock, User};
use deskline::store::sqlite::SqliteStore;
use serde_json::Value;
use tokio::process::Command;

use crate::harness::make_account;
use crate::shared::{PROGRAM, SECRET, ServerProcess};

/// A running server with a customer and an admin. Killed on drop.
pub(crate) struct Program {
    pub(crate) addresses: Vec<String>,
    pub(crate) ann: User,
    pub(crate) ada: User,
    pub(crate) http: reqwest::Client,
    tokens: Tokens,
    process: ServerProcess,
    _folder: tempfile::TempDir,
}

impl Program {
    /// Starts it on this number of addresses.
    pub(crate) async fn start(listeners: usize, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deskline.db");
        let stores = SqliteStore::open(&data).unwrap().stores();
        let ann = make_account(&stores, "Ann Lee", "ann@example.com", Role::Customer).await;
        let ada = make_account(&stores, "Ada Min", "ada@example.com", Role::Admin).await;
        let mut command = Command::new(PROGRAM);
        command.args(["--listen", "127.0.0.1:0"].repeat(listeners)).args(["--jwt-secret", SECRET, "--data"]);
        command.arg(&data).args(flags);
        let process = ServerProcess::start(command).await;
        let addresses = process.urls.iter().map(|url| url.strip_prefix("http://").unwrap().to_owned()).collect();
        let tokens = Tokens::new(&Secret::from(SECRET), Duration::from_hours(1));
        let http = reqwest::Client::new();
        Self { addresses, ann, ada, http, tokens, process, _folder: folder }
    }

    pub(crate) fn address(&self) -> &str {
        &self.addresses[0]
    }

    pub(crate) fn token(&self, user: &User) -> String {
        self.tokens.issue_pair(user, "", SystemClock.now()).access
    }

    /// Opens a visitor's conversation. Returns its id.
    pub(crate) async fn visit(&self) -> String {
        let made = self.http.post(format!("http://{}/api/public/chat-rooms/", self.address())).send().await.unwrap();
        let room: Value = serde_json::from_slice(&made.bytes().await.unwrap()).unwrap();
        room["id"].as_str().unwrap().to_owned()
    }

    /// The number of the customer's conversation.
    pub(crate) async fn room_number(&self) -> u64 {
        let request = self.http.get(format!("http://{}/api/chat/rooms/my_room/", self.address()));
        let answer = request.bearer_auth(self.token(&self.ann)).send().await.unwrap();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        body["room"]["id"].as_u64().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Peak resident memory in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}
