//! The program itself, as a process whose log and memory can be looked at.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use deskline::auth::{Secret, Tokens};
use deskline::domain::{Clock as _, Role, SystemClock, User};
use deskline::store::sqlite::SqliteStore;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::harness::make_account;

pub(crate) const SECRET: &str = "a-secret-for-tests-of-the-channels-face";

/// A running server with a customer and an admin; killed when it is dropped.
pub(crate) struct Program {
    pub(crate) addresses: Vec<String>,
    pub(crate) ann: User,
    pub(crate) ada: User,
    pub(crate) http: reqwest::Client,
    tokens: Tokens,
    log: Arc<Mutex<String>>,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Program {
    /// Starts it on so many addresses.
    pub(crate) async fn start(listeners: usize, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deskline.db");
        let stores = SqliteStore::open(&data).unwrap().stores();
        let ann = make_account(&stores, "Ann Lee", "ann@example.com", Role::Customer).await;
        let ada = make_account(&stores, "Ada Min", "ada@example.com", Role::Admin).await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_deskline"));
        command.args(["--listen", "127.0.0.1:0"].repeat(listeners)).args(["--jwt-secret", SECRET]).args(flags);
        command.arg("--data").arg(&data).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (mut stderr, kept) = (child.stderr.take().unwrap(), log.clone());
        tokio::spawn(async move {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut part).await {
                kept.lock().push_str(&String::from_utf8_lossy(&part[..count]));
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut addresses = Vec::new();
        while addresses.len() < listeners {
            let line = timeout(Duration::from_mins(1), lines.next_line()).await.expect("it says where it listens");
            let Some(line) = line.unwrap() else { panic!("the server ended: {}", log.lock()) };
            addresses.extend(line.split_once("listens on http://").map(|(_, address)| address.to_owned()));
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let tokens = Tokens::new(&Secret::from(SECRET), Duration::from_hours(1));
        let http = reqwest::Client::new();
        Self { addresses, ann, ada, http, tokens, log, child, _folder: folder }
    }

    pub(crate) fn address(&self) -> &str {
        &self.addresses[0]
    }

    pub(crate) fn token(&self, user: &User) -> String {
        self.tokens.issue_pair(user, "", SystemClock.now()).access
    }

    /// A room made by a visitor.
    pub(crate) async fn visit(&self) -> String {
        let made = self.http.post(format!("http://{}/api/public/chat-rooms/", self.address())).send().await.unwrap();
        let room: Value = serde_json::from_slice(&made.bytes().await.unwrap()).unwrap();
        room["id"].as_str().unwrap().to_owned()
    }

    /// The number of the customer's room.
    pub(crate) async fn room_number(&self) -> u64 {
        let request = self.http.get(format!("http://{}/api/chat/rooms/my_room/", self.address()));
        let answer = request.bearer_auth(self.token(&self.ann)).send().await.unwrap();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        body["room"]["id"].as_u64().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// The most memory that was ever resident, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}
