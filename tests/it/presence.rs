//! Who gets whose presence, over real sockets.

use std::time::Duration;

use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Account, SOON, TestServer, Wire, send_message, settle, text};

/// Long enough for an unwanted event to arrive.
const QUIET: Duration = Duration::from_millis(700);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_one_of_two_tabs_changes_nothing_and_closing_the_last_one_does() {
    let server = TestServer::start(&["--offline-grace", "200ms"]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = server.enter(&ada).await;
    let (first, second) = (server.enter(&ann).await, server.enter(&ann).await);
    settle(&desk, QUIET).await;

    drop(second);
    desk.emit("send-message", json!({"receiverId": ann.id.to_string(), "message": "still there?"})).unwrap();
    let got = first.wait_for("receive-message", SOON).await.unwrap();
    assert_eq!(got["message"], "still there?");
    let events = settle(&desk, QUIET).await;
    assert!(!events.iter().any(|(name, _)| name == "user-offline"), "{events:?}");

    drop(first);
    let gone = desk.wait_for("user-offline", SOON).await.unwrap();
    assert_eq!(gone["userId"], ann.id.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_within_the_grace_period_is_not_announced() {
    let server = TestServer::start(&["--offline-grace", "2s"]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = server.enter(&ada).await;
    for _ in 0..5 {
        drop(server.enter(&ann).await);
    }
    let _back = server.enter(&ann).await;
    let events = settle(&desk, Duration::from_millis(2500)).await;
    assert!(!events.iter().any(|(name, _)| name == "user-offline"), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_get_the_presence_of_the_desk_and_never_of_each_other() {
    let server = TestServer::start(&["--offline-grace", "100ms"]).await;
    let (ann, bob, ada) = (server.customer("ann").await, server.customer("bob").await, server.agent("ada").await);
    let listening = server.enter(&ann).await;
    let other = server.enter(&bob).await;
    let desk = server.enter(&ada).await;
    other.emit("typing", json!({"receiverId": ada.id.to_string()})).unwrap();
    other.emit("typing", json!({"receiverId": ann.id.to_string()})).unwrap();
    desk.wait_for("user-typing", SOON).await.unwrap();
    drop(other);
    desk.wait_for("user-offline", SOON).await.unwrap();
    drop(desk);
    loop {
        let (name, event) = listening.next_event(SOON).await.unwrap();
        assert_ne!(text(&event, "userId"), bob.id.to_string(), "{name} {event}");
        if name == "user-offline" {
            assert_eq!(event["userId"], ada.id.to_string());
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_closes_while_it_authenticates_leaves_nobody_online() {
    let server = TestServer::start(&["--offline-grace", "50ms"]).await;
    let (ann, ada, eve) = (server.customer("ann").await, server.agent("ada").await, server.customer("eve").await);
    let frame = format!("42{}", json!(["authenticate", ann.token]));
    let mut vanishing = JoinSet::new();
    for _ in 0..60 {
        let mut wire = Wire::connect(&server.url).await;
        wire.send(frame.clone()).await;
        // At once, so that the server notices it while it verifies the token.
        vanishing.spawn(wire.vanish());
    }
    vanishing.join_all().await;
    let gone = async {
        loop {
            let late = server.enter(&ada).await;
            if !is_shown(&late, &ann).await {
                return late;
            }
        }
    };
    let late = timeout(SOON, gone).await.expect("a customer without a socket is shown as online");
    // Eve connects regularly after all others, so her presence marks the end.
    let _eve = server.enter(&eve).await;
    loop {
        let (name, event) = late.next_event(SOON).await.expect("nobody gets Eve's presence");
        if name == "user-online" {
            assert_ne!(event["userId"], ann.id.to_string(), "a customer without a socket comes online");
            if event["userId"] == eve.id.to_string() {
                return;
            }
        }
    }
}

/// Whether a newly connected agent gets `user-online` for somebody.
async fn is_shown(agent: &Client, who: &Account) -> bool {
    // The answer comes after all events that authenticating causes.
    agent.emit_ack("is-anybody-there", Value::Null).await.unwrap();
    let events = settle(agent, Duration::ZERO).await;
    events.iter().any(|(name, event)| name == "user-online" && event["userId"] == who.id.to_string())
}

/// Frequent enough to detect a dead client soon, and with a timeout that a slow one can meet.
const HEARTBEAT: [&str; 4] = ["--ping-interval", "1s", "--ping-timeout", "2s"];

/// The agent sends a message to a customer whose client no longer reads its socket, as after a pulled cable.
async fn talk_into_the_void(server: &TestServer, agent: &Account, customer: &Account) -> (Client, Wire) {
    let desk = server.enter(agent).await;
    let mut frozen = Wire::connect(&server.url).await;
    frozen.authenticate(customer).await;
    send_message(&desk, customer, "into the void").await;
    (desk, frozen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_client_goes_offline_and_later_receives_what_it_missed() {
    let server = TestServer::start(&[&HEARTBEAT[..], &["--offline-grace", "100ms"]].concat()).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let (desk, _frozen) = talk_into_the_void(&server, &ada, &ann).await;
    let gone = desk.wait_for("user-offline", SOON).await.unwrap();
    assert_eq!(gone["userId"], ann.id.to_string());

    let back = server.enter(&ann).await;
    assert_eq!(back.wait_for("receive-message", SOON).await.unwrap()["message"], "into the void");
    let more = settle(&back, QUIET).await;
    assert!(!more.iter().any(|(name, _)| name == "receive-message"), "received twice: {more:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reconnects_before_its_old_socket_is_detected_as_dead_misses_nothing() {
    let server = TestServer::start(&HEARTBEAT).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let (_desk, _frozen) = talk_into_the_void(&server, &ada, &ann).await;

    // The server does not know yet that the old socket is dead. When it does, the new one gets the lost message.
    let back = server.enter(&ann).await;
    let got = back.wait_for("receive-message", SOON).await;
    assert_eq!(got.expect("lost in the old socket")["message"], "into the void");
}
