//! Two servers on one database.

use std::time::Duration;

use deskline::domain::Role;
use deskline::lab::testkit::socketio::Client;
use serde_json::json;

use crate::shared::{Account, number, text};
use crate::support::{Site, send_message, stop, talk};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_from_another_server_is_received_before_the_next_one() {
    let people = [("ada", Role::Admin), ("bea", Role::Admin), ("ann", Role::Customer)];
    let Some((site, accounts)) = Site::with(&people).await else { return };
    let [ada, bea, ann] = &accounts[..] else { panic!("three people") };
    let (one, other) = (site.start().await, site.start().await);
    let ann_here = signed_in(&one.url, ann).await;
    let (ada_here, bea_there) = (signed_in(&one.url, ada).await, signed_in(&other.url, bea).await);
    let mut expected = Vec::new();
    for round in 0..3 {
        for (agent, server) in [(&ada_here, "here"), (&bea_there, "there"), (&bea_there, "there again")] {
            let text = format!("{round}, {server}");
            send_message(agent, &ann.id.to_string(), &text).await;
            expected.push(text);
        }
    }
    send_message(&ada_here, &ann.id.to_string(), "last").await;
    expected.push("last".into());
    let (mut heard, mut last) = (Vec::new(), None);
    while heard.last().is_none_or(|last| last != "last") {
        let (name, event) = ann_here.next_event(SOON).await.unwrap();
        if name == "receive-message" {
            heard.push(text(&event, "message").to_owned());
            last = Some((text(&event, "conversationId").to_owned(), number(&event, "seq")));
        }
    }
    assert_eq!(heard, expected);
    // A client that moves to the other server gets nothing twice.
    let (conversation, seq) = last.unwrap();
    let received = ann_here.emit_ack("received", json!({"conversationId": conversation, "seq": seq})).await.unwrap();
    assert_eq!(received["ok"], true, "{received}");
    drop(ann_here);
    tokio::time::sleep(WRITTEN_DOWN).await;
    let ann_there = signed_in(&other.url, ann).await;
    send_message(&bea_there, &ann.id.to_string(), "welcome").await;
    let welcome = loop {
        let (name, event) = ann_there.next_event(SOON).await.unwrap();
        if name == "receive-message" {
            break text(&event, "message").to_owned();
        }
    };
    assert_eq!(welcome, "welcome");
    stop(one).await;
    stop(other).await;
    site.remove().await;
}

/// A client that cannot name what it has.
async fn signed_in(url: &str, account: &Account) -> Client {
    let client = Client::connect(url).await.unwrap();
    let answer = client.emit_ack("authenticate", json!({"token": account.token})).await.unwrap();
    assert_eq!(answer["success"], true, "{answer}");
    client
}

/// How long an event may take to arrive.
const SOON: Duration = Duration::from_secs(30);

/// Longest time until a delivery cursor is persisted.
const WRITTEN_DOWN: Duration = Duration::from_secs(6);

/// The error of a message that a server could not store because other servers were always faster.
const RACE: &str = "other processes keep writing";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_append_to_the_same_conversations_without_gaps_or_duplicates() {
    // Each server has agents, so both write to every conversation, and the agents receive all of it.
    let people = [("ada", Role::Admin), ("bea", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer)];
    let Some((site, accounts)) = Site::with(&people).await else { return };
    let (one, other) = (site.start().await, site.start().await);
    let crowd = talk(&accounts, &[&one.url, &other.url]);
    let enough = crowd.is_acknowledged(500, Duration::from_mins(3)).await;
    assert!(enough, "too few messages are acknowledged: {} {}", one.log(), other.log());
    let outcome = crowd.end().await.unwrap();
    // A slow database may be logged, but no lost race.
    for server in [&one, &other] {
        assert!(!server.log().contains(RACE), "a message lost the race: {}", server.log());
    }
    stop(one).await;
    stop(other).await;
    let acked = site.assert_consistent(&accounts[0], &outcome).await;
    assert!(acked >= 500);
    site.remove().await;
}
