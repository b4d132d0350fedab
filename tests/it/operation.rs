//! Operators' actions, and faults of the system under the server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deskline::domain::{Clock, EntryKind, FixedClock, Role, SystemClock};
use deskline::lab::testkit::socketio::{Client, ClientError};
use deskline::store::UserChange;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::support::{
    Account, PROGRAM, SOON, ServerProcess, Site, TestServer, all_logs, email_of, enter, run, send_message, settle, text,
};

const PEOPLE: [(&str, Role); 3] = [("ada", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer)];

fn message(to: &Account, text: &str) -> Value {
    json!({"receiverId": to.id.to_string(), "message": text, "clientMessageId": text})
}

/// Sends one message after the other until one is refused. Returns the acknowledged ones, and the refusal.
async fn send_until_refused(client: &Client, to: &Account, prefix: &str) -> (Vec<String>, Result<Value, ClientError>) {
    let mut acked = Vec::new();
    loop {
        let name = format!("{prefix}-{}", acked.len());
        match client.emit_ack("send-message", message(to, &name)).await {
            Ok(answer) if answer["ok"] == true => acked.push(name),
            end => return (acked, end),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_under_load_loses_no_acknowledged_message() {
    for round in 0..3 {
        let (site, people) = Site::with(&PEOPLE).await;
        let [ada, ann, bob] = &people[..] else { panic!() };
        let server = site.start(&["--send-rate", "0"]).await;
        let mut sending = JoinSet::new();
        for (n, (from, to)) in [(ann, ada), (bob, ada), (ada, ann), (ada, bob)].into_iter().enumerate() {
            let (client, to) = (enter(&server.url, from).await, to.clone());
            sending.spawn(async move { send_until_refused(&client, &to, &n.to_string()).await });
        }
        let witness = enter(&server.url, ada).await;
        for _ in 0..40 {
            witness.wait_for("receive-message", SOON).await.unwrap();
        }
        let since = Instant::now();
        server.signal("TERM").await;
        let (status, log) = server.ended().await;
        assert_eq!(status.code(), Some(0), "round {round}, after {:?}: {log}", since.elapsed());
        assert!(!log.contains("panicked"), "{log}");

        let mut acked = Vec::new();
        while let Some(done) = sending.join_next().await {
            let (names, refused) = done.unwrap();
            acked.extend(names);
            match refused {
                Ok(refusal) => {
                    assert_eq!((text(&refusal, "code"), &refusal["retryable"]), ("shutting_down", &json!(true)));
                }
                Err(ClientError::Closed) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_stored_once(&site, ada, &acked).await;
    }
}

/// Asserts that each of these is stored exactly once, and that logs have no gaps.
async fn assert_stored_once(site: &Site, agent: &Account, acked: &[String]) {
    let logs = all_logs(&*site.store().stores().conversations, agent.id).await;
    let entries = logs.iter().flat_map(|(_, log)| log);
    let kept: Vec<&str> = entries
        .filter_map(|entry| match &entry.kind {
            EntryKind::Message(message) => Some(message.original.as_str()),
            EntryKind::Read { .. }
            | EntryKind::StatusChanged { .. }
            | EntryKind::Edited { .. }
            | EntryKind::Deleted { .. } => None,
        })
        .collect();
    for name in acked {
        assert_eq!(kept.iter().filter(|kept| *kept == name).count(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_a_data_file_is_refused_and_the_first_continues() {
    let (site, people) = Site::with(&PEOPLE).await;
    let server = site.start(&[]).await;
    let usual = site.usual();
    let second = run(&usual.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(said.contains("another deskline is already serving"), "{said}");
    assert!(said.contains(site.data().to_str().unwrap()), "the error does not name the file: {said}");
    let client = enter(&server.url, &people[1]).await;
    send_message(&client, &people[0], "hi").await;
    server.signal("KILL").await;
    server.ended().await;
    let _after_a_kill = site.start(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_well_known_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deskline.db");
    let refused =
        run(&["--listen", "127.0.0.1:0", "--jwt-secret", "mysecretkey", "--data", data.to_str().unwrap()]).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(said.contains("mysecretkey") && said.contains("hint:"), "{said}");
    let mut demo = Command::new(PROGRAM);
    demo.args(["--demo", "--listen", "127.0.0.1:0", "--jwt-secret", "mysecretkey", "--data"]).arg(&data);
    let _demo = ServerProcess::start(demo).await;
}

/// Requests the history and the list of conversations, which both have to succeed.
async fn assert_reads_work(server: &ServerProcess, agent: &Account, customer: &Account) {
    for path in ["conversations".to_owned(), format!("messages/{}", customer.id)] {
        let get = reqwest::Client::new().get(format!("{}/api/chat/{path}", server.url)).bearer_auth(&agent.token);
        let answer = timeout(SOON, get.send()).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let list: Value = answer.json().await.unwrap();
        assert!(!list.as_array().unwrap().is_empty(), "{path} is empty");
    }
}

/// Sends messages until the store is full. Asserts that they are refused correctly, and that everything else still
/// works.
async fn fill_up(server: &ServerProcess, people: &[Account]) -> (Client, Vec<String>) {
    let [ada, ann, ..] = people else { panic!() };
    let client = enter(&server.url, ann).await;
    let mut acked = Vec::new();
    let refusal = loop {
        let name = format!("{:05} {}", acked.len(), "x".repeat(2000));
        let ask = json!({"receiverId": ada.id.to_string(), "message": name});
        match client.emit_ack("send-message", ask).await.unwrap() {
            answer if answer["ok"] == true => acked.push(name),
            answer => break answer,
        }
        assert!(acked.len() < 10_000, "the store does not become full");
    };
    assert_eq!((text(&refusal, "code"), &refusal["retryable"]), ("storage_unavailable", &json!(true)));
    let said = client.wait_for("error", SOON).await.unwrap();
    assert_eq!(text(&said, "code"), "storage_unavailable");
    assert_reads_work(server, ada, ann).await;
    // A new client can still connect and read.
    let desk = enter(&server.url, ada).await;
    assert_eq!(desk.emit_ack("resume", json!({})).await.unwrap()["ok"], true);
    for _ in 0..5 {
        let again = client.emit_ack("send-message", message(ada, "too much")).await.unwrap();
        assert_eq!(text(&again, "code"), "storage_unavailable");
    }
    (client, acked)
}

/// With space again, refused messages can be stored, and the log has no gap.
async fn recover(server: ServerProcess, site: &Site, client: &Client, people: &[Account], mut acked: Vec<String>) {
    let healed = async {
        loop {
            let answer = client.emit_ack("send-message", message(&people[0], "too much")).await.unwrap();
            if answer["ok"] == true {
                return;
            }
            assert_eq!(text(&answer, "code"), "storage_unavailable");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, healed).await.expect("the server does not recover");
    let second = enter(&server.url, &people[2]).await;
    send_message(&second, &people[0], "me too").await;
    acked.extend(["too much".to_owned(), "me too".to_owned()]);
    server.signal("TERM").await;
    let (status, log) = server.ended().await;
    assert!(status.success() && !log.contains("panicked"), "{log}");
    assert_stored_once(site, &people[0], &acked).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_file_that_cannot_grow_refuses_messages_serves_reads_and_recovers() {
    let (site, people) = Site::with(&PEOPLE).await;
    let mut command = Command::new("sh");
    // A write beyond the limit must fail, not kill the process.
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#, PROGRAM]).args(site.usual()).args(["--send-rate", "0"]);
    let server = ServerProcess::start(command).await;
    let pid = rlimit_pid(&server);
    let limit = |bytes| rlimit::prlimit(pid, rlimit::Resource::FSIZE, Some((bytes, rlimit::INFINITY)), None);
    limit(1_000_000).unwrap();
    let (client, acked) = fill_up(&server, &people).await;
    limit(rlimit::INFINITY).unwrap();
    recover(server, &site, &client, &people, acked).await;
}

#[cfg(target_os = "linux")]
fn rlimit_pid(server: &ServerProcess) -> i32 {
    i32::try_from(server.pid()).unwrap()
}

/// The flags of `unshare` that allow to mount a file system: without or with a user namespace. `None` if neither works.
#[cfg(target_os = "linux")]
#[expect(clippy::print_stderr, reason = "a skipped test prints that")]
#[expect(clippy::disallowed_methods, reason = "CI must not leave it out")]
async fn right_to_mount() -> Option<&'static str> {
    for flags in ["-m", "-Urm"] {
        let tried = Command::new("unshare").args([flags, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]).output().await;
        if tried.is_ok_and(|tried| tried.status.success()) {
            return Some(flags);
        }
    }
    // The limit on the file's size, which is also tested, needs no permission.
    let what = "a_full_disk needs the right to mount a file system (unshare -m, or -Urm)";
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{what}");
    eprintln!("SKIPPED: {what}");
    None
}

/// Runs on a separate file system that is really full.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_messages_serves_reads_and_recovers() {
    let Some(flags) = right_to_mount().await else { return };
    let (site, people) = Site::with(&PEOPLE).await;
    let script = r#"mount -t tmpfs -o size=4m tmpfs "$1" && cp "$2" "$1/deskline.db" && shift 2 && exec "$@""#;
    let data = site.data();
    let folder = data.parent().unwrap();
    let seed = folder.with_extension("seed");
    std::fs::copy(&data, &seed).unwrap();
    let mut command = Command::new("unshare");
    command.args([flags, "sh", "-c", script, "sh"]).arg(folder).arg(&seed).arg(PROGRAM);
    command.args(site.usual()).args(["--send-rate", "0"]);
    let server = ServerProcess::start(command).await;
    std::fs::remove_file(&seed).unwrap();
    // Paths as the server sees them. A file beside the data occupies space until it is removed.
    let inside = Path::new("/proc").join(server.pid().to_string()).join("root").join(folder.strip_prefix("/").unwrap());
    let ballast = inside.join("ballast");
    std::fs::write(&ballast, vec![1; 2_000_000]).unwrap();
    let (client, acked) = fill_up(&server, &people).await;
    std::fs::remove_file(&ballast).unwrap();
    let healed = async {
        while client.emit_ack("send-message", message(&people[0], "again")).await.unwrap()["ok"] != true {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, healed).await.expect("the server does not recover");
    // The file system ends with the server, so the log is read while it runs.
    let kept = history(&server, &people[0], &people[1]).await;
    let acked = acked.iter().map(String::as_str).chain(["again"]);
    for name in acked.rev().take(900) {
        assert_eq!(kept.iter().filter(|kept| *kept == name).count(), 1, "{}", &name[..5]);
    }
    server.signal("TERM").await;
    let (status, log) = server.ended().await;
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

/// The newest messages with a customer.
#[cfg(target_os = "linux")]
async fn history(server: &ServerProcess, agent: &Account, customer: &Account) -> Vec<String> {
    let url = format!("{}/api/chat/messages/{}", server.url, customer.id);
    let answer = reqwest::Client::new().get(url).bearer_auth(&agent.token).send().await.unwrap();
    let list: Value = answer.json().await.unwrap();
    list.as_array().unwrap().iter().map(|message| text(message, "message").to_owned()).collect()
}

/// Asserts that the socket gets `authenticated {success: false}`, stays open, and has no rights. `desk::attendance`
/// tests how soon.
async fn assert_no_access(client: &Client, to: &Account) {
    let authenticated = client.wait_for("authenticated", SOON).await.unwrap();
    assert_eq!(authenticated["success"], false, "{authenticated}");
    let refused = client.emit_ack("send-message", message(to, "let me")).await.unwrap();
    assert_eq!(text(&refused, "code"), "unauthenticated");
    let refused = client.emit_ack("resume", json!({})).await.unwrap();
    assert_eq!(text(&refused, "code"), "unauthenticated");
    assert!(!client.is_closed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_loses_its_rights_when_its_token_expires() {
    let clock = Arc::new(FixedClock::at(SystemClock.now()));
    let server = TestServer::start_at(&[], clock.clone()).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let client = server.enter(&ann).await;
    send_message(&client, &ada, "hi").await;
    settle(&client, Duration::from_millis(200)).await;
    clock.advance(Duration::from_mins(61));
    assert_no_access(&client, &ada).await;
    let answer = client.emit_ack("authenticate", json!({"token": ann.token})).await.unwrap();
    assert_eq!((&answer["success"], text(&answer, "code")), (&json!(false), "token_expired"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_blocked_by_another_process_loses_all_its_sockets_at_once() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = server.enter(&ada).await;
    let (one, two) = (server.enter(&ann).await, server.enter(&ann).await);
    settle(&one, Duration::from_millis(200)).await;
    settle(&two, Duration::from_millis(200)).await;
    let done = run(&["user", "--data", &server.data(), "block", email_of(&ann.name).as_str()]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_no_access(&one, &ada).await;
    assert_no_access(&two, &ada).await;
    // They receive nothing any more.
    send_message(&desk, &ann, "psst").await;
    let heard = settle(&one, Duration::from_millis(500)).await;
    assert!(!heard.iter().any(|(name, _)| name == "receive-message"), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_account_loses_access_at_once() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let client = server.enter(&ann).await;
    settle(&client, Duration::from_millis(200)).await;
    assert!(server.stores.users.delete_user(ann.id).await.unwrap());
    assert_no_access(&client, &ada).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_agent_loses_their_rights_on_every_tab_even_if_one_reauthenticates_first() {
    let server = TestServer::start(&[]).await;
    let (ann, ada, bea) = (server.customer("ann").await, server.agent("ada").await, server.agent("bea").await);
    let customer = server.enter(&ann).await;
    let (old, other) = (server.enter(&bea).await, server.enter(&bea).await);
    settle(&old, Duration::from_millis(200)).await;
    let demotion = UserChange { role: Some(Role::Customer), ..UserChange::default() };
    server.stores.users.update_user(bea.id, demotion, SystemClock.now()).await.unwrap().unwrap();
    // The other tab authenticates again before the server has checked, and is a customer's now.
    let answer = other.emit_ack("authenticate", json!({"token": bea.token})).await.unwrap();
    assert_eq!(answer["role"], "user");
    assert_no_access(&old, &ada).await;
    send_message(&customer, &ada, "in confidence").await;
    for client in [&old, &other] {
        let heard = settle(client, Duration::from_millis(400)).await;
        assert!(!heard.iter().any(|(name, _)| name == "receive-message"), "{heard:?}");
    }
}
