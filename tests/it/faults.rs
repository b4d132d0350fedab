//! A disk that fails or hangs under the server. Faults are injected below the store, which is tested unchanged.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use deskline::domain::Role;
use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::support::{Account, PROGRAM, SOON, ServerProcess, Site, all_logs, enter, how_long, text};

const PEOPLE: [(&str, Role); 3] = [("ada", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer)];

/// How long the disk hangs, unless a longer run is requested.
const HANG: Duration = Duration::from_secs(4);

/// How a disk fails, see `tests/fixtures/faults.c`: at a sync, at a write, or in the middle of a write.
const FAILURES: [&str; 6] = ["eio", "write", "torn", "torn", "write", "eio"];

/// A server with a disk into which faults can be injected.
struct Scene {
    _folder: TempDir,
    faults: PathBuf,
    site: Site,
    people: Vec<Account>,
    server: ServerProcess,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let faults = folder.path().join("faults");
        std::fs::write(&faults, "none").unwrap();
        let library = compile(folder.path()).await;
        let (site, people) = Site::with(&PEOPLE).await;
        let mut command = Command::new(PROGRAM);
        command.args(site.usual()).args(["--send-rate", "0"]);
        command.env("LD_PRELOAD", &library).env("FAULTS", &faults).env("FAULTY", site.data());
        let server = ServerProcess::start(command).await;
        Self { _folder: folder, faults, site, people, server }
    }

    fn disk(&self, fault: &str) {
        // Written to another file and renamed, so that no partial word is read.
        let new = self.faults.with_extension("new");
        std::fs::write(&new, fault).unwrap();
        std::fs::rename(&new, &self.faults).unwrap();
    }

    async fn ready(&self) -> u16 {
        let asked = reqwest::get(format!("{}/readyz", self.server.url));
        timeout(SOON, asked).await.expect("`/readyz` does not answer").unwrap().status().as_u16()
    }

    /// The history as the agent reads it.
    async fn history(&self) -> Vec<String> {
        let url = format!("{}/api/chat/messages/{}", self.server.url, self.people[1].id);
        let asked = reqwest::Client::new().get(url).bearer_auth(&self.people[0].token).send();
        let answer = timeout(SOON, asked).await.expect("the history does not arrive").unwrap();
        assert_eq!(answer.status(), 200);
        let history: Vec<Value> = answer.json().await.unwrap();
        history.iter().map(|said| text(said, "message").to_owned()).collect()
    }

    /// Stops the server, and asserts that the store has each of these once, and nothing else except `perhaps`.
    async fn ends_with(self, acked: &[String], perhaps: &[String]) {
        self.server.signal("TERM").await;
        let (status, log) = self.server.ended().await;
        assert!(status.success() && !log.contains("panicked"), "{log}");
        let logs = all_logs(&*self.site.store().stores().conversations, self.people[0].id).await;
        let kept: Vec<_> = logs.iter().flat_map(|(_, log)| log).filter_map(|entry| entry.message()).collect();
        let kept: Vec<_> = kept.iter().map(|message| message.original.as_str()).collect();
        for name in acked {
            assert_eq!(kept.iter().filter(|kept| *kept == name).count(), 1, "{name} was acknowledged");
        }
        for name in kept {
            assert!(acked.iter().chain(perhaps).any(|known| known == name), "nobody sent {name}");
        }
    }
}

/// Compiles the library that is preloaded into the server, with the compiler that the embedded store is built with.
async fn compile(folder: &Path) -> PathBuf {
    let library = folder.join("faults.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/faults.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    assert!(compiled.await.unwrap().success(), "{source} does not compile");
    library
}

/// Sends a message. Returns true if it is acknowledged, false if it is refused because the store is unavailable.
async fn try_to_send(client: &Client, to: &Account, name: &str) -> bool {
    let ask = json!({"receiverId": to.id.to_string(), "message": name, "clientMessageId": name});
    let answer = client.emit_ack("send-message", ask).await.unwrap();
    if answer["ok"] != true {
        assert_eq!((text(&answer, "code"), &answer["retryable"]), ("storage_unavailable", &json!(true)), "{answer}");
    }
    answer["ok"] == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_while_the_disk_fails_and_no_restart_is_needed_afterwards() {
    let scene = Scene::new().await;
    let (ann, ada) = (enter(&scene.server.url, &scene.people[1]).await, &scene.people[0]);
    let (mut acked, mut refused) = (Vec::new(), Vec::new());
    for (round, failure) in FAILURES.into_iter().enumerate() {
        for n in 0..20 {
            let name = format!("good {round}.{n}");
            assert!(try_to_send(&ann, ada, &name).await, "{name}");
            acked.push(name);
        }
        scene.disk(failure);
        for n in 0..5 {
            let name = format!("bad {round}.{n}");
            let said = timeout(SOON, try_to_send(&ann, ada, &name))
                .await
                .expect("the sender gets no answer while the disk fails");
            assert!(!said, "{name} was acknowledged, and not stored ({failure})");
            refused.push(name);
        }
        assert_eq!(scene.history().await, acked, "a refused message is shown");
        assert_eq!(scene.ready().await, 503);
        scene.disk("none");
        // Refused messages are stored when they are sent again.
        let again = refused.pop().unwrap();
        let healed = async {
            while !try_to_send(&ann, ada, &again).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(SOON, healed).await.expect("the server does not recover");
        acked.push(again);
        assert_eq!(scene.ready().await, 200);
    }
    scene.ends_with(&acked, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_hangs_delays_acknowledgements_and_nothing_else() {
    let hang = how_long(HANG);
    let scene = Scene::new().await;
    let (ann, ada) = (enter(&scene.server.url, &scene.people[1]).await, &scene.people[0]);
    let mut acked = vec!["before".to_owned()];
    assert!(try_to_send(&ann, ada, "before").await);
    assert_eq!(ann.wait_for("message-sent", SOON).await.unwrap()["message"], "before");
    scene.disk("hang");
    let hung = Instant::now();
    for n in 0..50 {
        let name = format!("during {n}");
        let ask = json!({"receiverId": ada.id.to_string(), "message": name, "clientMessageId": name});
        ann.emit("send-message", ask).unwrap();
        acked.push(name);
    }
    // Reads still work, and new clients can connect.
    while hung.elapsed() < hang {
        assert_eq!(scene.history().await, ["before"]);
        let bob = timeout(SOON, enter(&scene.server.url, &scene.people[2])).await.expect("a new client cannot connect");
        assert_eq!(bob.emit_ack("resume", json!({})).await.unwrap()["ok"], true);
        assert_eq!(scene.ready().await, 503);
    }
    let early = ann.next_event(Duration::from_millis(10)).await;
    assert!(!matches!(&early, Ok((name, _)) if name == "message-sent"), "acknowledged before it was synced: {early:?}");
    scene.disk("none");
    for name in &acked[1..] {
        let sent = ann.wait_for("message-sent", SOON).await.expect("an acknowledgement is missing");
        assert_eq!(text(&sent, "message"), name);
    }
    // A retry gets the same acknowledgement.
    assert!(try_to_send(&ann, ada, "during 7").await);
    assert_eq!(scene.ready().await, 200);
    scene.ends_with(&acked, &[]).await;
}
