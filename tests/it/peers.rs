//! Peers that vanish without closing: each is detected within its heartbeat, its resources are released, and nobody
//! misses a message. Peers that do not read are in `delivery`.
#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::time::Duration;

use deskline::domain::Role;
use deskline::lab::testkit::socketio::Client;
use futures_util::future::join_all;
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{Account, PROGRAM, SOON, ServerProcess, Site, Wire, enter, number, send_message, text};

/// Slow enough that a busy machine disconnects no live client. Silent peers are detected after 4 s.
const HEARTBEAT: [&str; 6] = ["--ping-interval", "2s", "--ping-timeout", "2s", "--offline-grace", "0s"];
const DUE: Duration = Duration::from_secs(4);

/// The same for many peers at once.
const SLOW_HEARTBEAT: [&str; 6] = ["--ping-interval", "5s", "--ping-timeout", "5s", "--offline-grace", "0s"];
const SLOW_DUE: Duration = Duration::from_secs(10);

/// How much later that may be noticed on a busy machine.
const SLACK: Duration = Duration::from_secs(15);

/// Number of people who connect and vanish.
const PEERS: usize = 60;

/// How many of them are sent messages at a time.
const AT_ONCE: usize = 10;

/// Messages that each of them is sent meanwhile, and the characters of each.
const SAID: usize = 10;
const LENGTH: usize = 20_000;

/// Makes the allocator return freed memory at once, so that the size of the process shows what is in use. By default it
/// retains more, depending on the load.
const EXACT: [(&str, &str); 1] = [("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0")];

/// Waves of them until the server has reached its size, and further waves, during which it may grow by a part of what
/// they were sent.
const WAVES: [usize; 2] = [2, 3];
const GROWN: usize = 16 << 20;
const _: () = assert!(GROWN < WAVES[1] * PEERS * SAID * LENGTH / 2);

/// Waits until the desk has received `user-offline` for all of these, in any order.
async fn go(desk: &Client, who: &[&Account]) {
    let mut here: HashSet<String> = who.iter().map(|account| account.id.to_string()).collect();
    let gone = async {
        while !here.is_empty() {
            here.remove(text(&desk.wait_for("user-offline", DUE + SLACK).await.unwrap(), "userId"));
        }
    };
    timeout(DUE + SLACK, gone).await.unwrap_or_else(|_| panic!("not detected as gone: {who:?}"));
}

/// A socket that stays open and answers nothing, as after a power cut.
async fn half_open(server: &ServerProcess, who: &Account) -> Wire {
    let mut wire = Wire::connect(&server.url).await;
    assert!(wire.send(format!("42{}", json!(["authenticate", who.token]))).await);
    while !wire.next(SOON).await.expect("no answer").starts_with(r#"42["authenticated""#) {}
    wire
}

async fn polling(server: &ServerProcess, who: &Account) -> Client {
    let client = Client::connect_by_polling(&server.url).await.unwrap();
    assert_eq!(client.emit_ack("authenticate", json!({"token": who.token})).await.unwrap()["success"], true);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vanished_client_is_detected_within_the_heartbeat_and_gets_missed_messages_later() {
    let (site, people) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer)]).await;
    let [ada, ann, bob] = people.as_slice() else { panic!() };
    let server = site.start(&HEARTBEAT).await;
    let desk = enter(&server.url, ada).await;
    let _silent = half_open(&server, ann).await;
    drop(polling(&server, bob).await);
    for who in [ann, bob] {
        send_message(&desk, who, "into the void").await;
    }
    go(&desk, &[ann, bob]).await;
    for who in [ann, bob] {
        let back = enter(&server.url, who).await;
        let got =
            back.wait_for("receive-message", SOON).await.expect("the message sent to the dead connection was lost");
        assert_eq!(text(&got, "message"), "into the void");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_server_detects_dead_clients_late_and_loses_nothing() {
    let (site, people) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer)]).await;
    let [ada, ann] = people.as_slice() else { panic!() };
    let server = site.start(&HEARTBEAT).await;
    let desk = enter(&server.url, ada).await;
    let _silent = half_open(&server, ann).await;
    send_message(&desk, ann, "into the void").await;
    // The message is older than two heartbeats when the server checks.
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.signal("STOP").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    server.signal("CONT").await;
    go(&desk, &[ann]).await;
    let back = enter(&server.url, ann).await;
    let got = back.wait_for("receive-message", SOON).await.expect("the message sent to the dead connection was lost");
    assert_eq!(text(&got, "message"), "into the void");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_a_client_has_confirmed_are_not_sent_again_after_it_died() {
    let (site, people) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer)]).await;
    let [ada, ann] = people.as_slice() else { panic!() };
    let server = site.start(&HEARTBEAT).await;
    let desk = enter(&server.url, ada).await;
    let mut wire = half_open(&server, ann).await;
    send_message(&desk, ann, "heard").await;
    while !wire.next(SOON).await.expect("nothing was received").contains("heard") {}
    // It answers pings for longer than anything can be in flight.
    while wire.next(Duration::from_secs(6)).await.is_some() {}
    send_message(&desk, ann, "into the void").await;
    go(&desk, &[ann]).await;
    let back = enter(&server.url, ann).await;
    let got = back.wait_for("receive-message", SOON).await.unwrap();
    assert_eq!(text(&got, "message"), "into the void");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_of_vanished_peers_are_released_and_others_get_everything_meanwhile() {
    let names: Vec<String> = (0..PEERS).map(|n| format!("peer{n}")).collect();
    let customers = names.iter().map(|name| (name.as_str(), Role::Customer));
    let people: Vec<_> = [("ada", Role::Admin), ("bob", Role::Customer)].into_iter().chain(customers).collect();
    let (site, people) = Site::with(&people).await;
    let (ada, bob, peers) = (&people[0], &people[1], &people[2..]);
    let mut command = Command::new(PROGRAM);
    command.args(site.usual()).args(SLOW_HEARTBEAT).args(["--send-rate", "0"]).envs(EXACT);
    let server = ServerProcess::start(command).await;
    let (desk, healthy) = (enter(&server.url, ada).await, enter(&server.url, bob).await);
    send_message(&desk, bob, "first").await;
    healthy.wait_for("receive-message", SOON).await.unwrap();
    let files = open_files(&server);
    // Later waves reuse the memory of the first ones: nothing accumulates.
    let mut sizes = Vec::new();
    for waves in WAVES {
        for _ in 0..waves {
            come_and_vanish(&server, &desk, peers, (&healthy, bob), files).await;
        }
        sizes.push(resident(&server));
    }
    let grown = sizes[1].saturating_sub(sizes[0]);
    assert!(grown < GROWN, "{} more waves have cost another {grown} bytes", WAVES[1]);
}

/// These people connect with each kind of connection, are sent messages and vanish, while somebody else receives all
/// their own messages. Then they reconnect. `files` is the number of open files without them.
async fn come_and_vanish(
    server: &ServerProcess,
    desk: &Client,
    peers: &[Account],
    (healthy, there): (&Client, &Account),
    files: usize,
) {
    let silent = join_all(peers.iter().map(|peer| half_open(server, peer)));
    let polls = join_all(peers.iter().map(|peer| polling(server, peer)));
    let (_silent, polls) = tokio::join!(silent, polls);
    drop(polls);
    assert!(open_files(server) >= files + PEERS / 2, "the peers have vanished before they were connected");
    // Each of them is sent this, without delaying anybody.
    let long = "x".repeat(LENGTH);
    for _ in 0..SAID {
        for some in peers.chunks(AT_ONCE) {
            join_all(some.iter().map(|peer| send_message(desk, peer, &long))).await;
        }
        let seq = number(&send_message(desk, there, "still there?").await, "seq");
        let got = healthy.wait_for("receive-message", SOON).await.expect("the others are delayed by vanished peers");
        assert_eq!(number(&got, "seq"), seq);
    }
    let given_back = async {
        // Only the keep-alive connections of polling clients and the two live clients are left.
        while open_files(server) > files + 5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let is_given_back = timeout(SLOW_DUE + SLACK, given_back).await.is_ok();
    assert!(is_given_back, "{} files are open, {files} were before", open_files(server));
    // They get everything when they reconnect, so that nothing is left for the next wave.
    for peer in peers {
        let back = enter(&server.url, peer).await;
        for _ in 0..SAID {
            // An older polling session may still count as alive; then the newer connection gets this when it is closed.
            back.wait_for("receive-message", SLOW_DUE + SLACK)
                .await
                .expect("a message sent to a vanished peer was lost");
        }
    }
}

fn open_files(server: &ServerProcess) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

/// Resident memory, in bytes.
fn resident(server: &ServerProcess) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
