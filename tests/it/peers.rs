//! Peers that are gone without a word: each is found out within its heartbeat, gives back what it held, and costs nobody
//! else a message. What does not read is in `delivery`.
#![cfg(target_os = "linux")]

use std::time::Duration;

use deskline::domain::Role;
use deskline::rig::client::Client;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::support::{Account, SOON, ServerProcess, Site, Wire, enter, number, text};

/// What the heartbeat allows: interval and time-out, and as much again for a machine that is busy.
const FOUND_OUT: Duration = Duration::from_secs(4);

const HEARTBEAT: [&str; 6] = ["--ping-interval", "1s", "--ping-timeout", "1s", "--offline-grace", "0s"];

/// Peers of each kind.
const PEERS: usize = 100;

async fn say(from: &Client, to: &Account, name: &str) -> Value {
    let answer =
        from.emit_ack("send-message", json!({"receiverId": to.id.to_string(), "message": name})).await.unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    answer
}

/// Waits until the desk hears that somebody has gone; gives how long that took.
async fn goes(desk: &Client, who: &Account) -> Duration {
    let began = Instant::now();
    let gone = async { while desk.wait_for("user-offline", SOON).await.unwrap()["userId"] != who.id.to_string() {} };
    timeout(SOON, gone).await.unwrap_or_else(|_| panic!("nobody finds out that {} has gone", who.name));
    began.elapsed()
}

/// A socket that is open and answers nothing, as of a machine that has lost its power.
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
async fn whoever_vanishes_is_found_out_within_the_heartbeat_and_gets_what_was_sent_meanwhile() {
    let (site, people) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer)]).await;
    let [ada, ann, bob] = people.as_slice() else { panic!() };
    let server = site.start(&HEARTBEAT).await;
    let desk = enter(&server.url, ada).await;
    let _silent = half_open(&server, ann).await;
    drop(polling(&server, bob).await);
    for who in [ann, bob] {
        say(&desk, who, "into the void").await;
    }
    for who in [ann, bob] {
        let took = goes(&desk, who).await;
        assert!(took < FOUND_OUT, "{} was found out after {took:?}", who.name);
        let back = enter(&server.url, who).await;
        let got = back.wait_for("receive-message", SOON).await.expect("what went to the dead connection is lost");
        assert_eq!(text(&got, "message"), "into the void");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_vanished_peers_held_is_given_back_and_the_others_hear_everything_meanwhile() {
    let (site, people) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer)]).await;
    let [ada, ann, bob] = people.as_slice() else { panic!() };
    let server = site.start(&[&HEARTBEAT[..], &["--send-rate", "0"]].concat()).await;
    let (desk, healthy) = (enter(&server.url, ada).await, enter(&server.url, bob).await);
    say(&desk, bob, "first").await;
    healthy.wait_for("receive-message", SOON).await.unwrap();
    let (files, memory) = (open_files(&server), resident(&server));

    let silent = join_all((0..PEERS).map(|_| half_open(&server, ann)));
    let polls = join_all((0..PEERS).map(|_| polling(&server, ann)));
    let (_silent, gone) = tokio::join!(silent, polls);
    drop(gone);
    assert!(open_files(&server) >= files + PEERS / 2, "the peers have gone before they were there");
    // Each of them is sent this, and nobody waits for them.
    let long = "x".repeat(10_000);
    for n in 0..50_u64 {
        say(&desk, ann, &long).await;
        let seq = number(&say(&desk, bob, &n.to_string()).await, "seq");
        let got = healthy.wait_for("receive-message", SOON).await.expect("the others wait for the dead");
        assert_eq!((number(&got, "seq"), text(&got, "message")), (seq, n.to_string().as_str()));
    }
    let given_back = async {
        // What is left is the keep-alive connections of those who polled, and the two who are alive.
        while open_files(&server) > files + 5 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(15), given_back)
        .await
        .unwrap_or_else(|_| panic!("{} files are open, {files} were before", open_files(&server)));
    let grown = resident(&server).saturating_sub(memory);
    assert!(grown < 48 << 20, "the server has grown by {grown} bytes");
    assert_eq!(desk.emit_ack("resume", json!({})).await.unwrap()["ok"], true);
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
