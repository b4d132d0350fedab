//! Who is told of whose comings and goings, over real sockets.

use std::time::Duration;

use serde_json::json;

use crate::support::{SOON, TestServer, Wire, settle, text};

/// Long enough for what must not come to have come.
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
    let told = settle(&desk, QUIET).await;
    assert!(!told.iter().any(|(name, _)| name == "user-offline"), "{told:?}");

    drop(first);
    let gone = desk.wait_for("user-offline", SOON).await.unwrap();
    assert_eq!(gone["userId"], ann.id.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_within_the_grace_period_was_never_away() {
    let server = TestServer::start(&["--offline-grace", "2s"]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = server.enter(&ada).await;
    for _ in 0..5 {
        drop(server.enter(&ann).await);
    }
    let _back = server.enter(&ann).await;
    let told = settle(&desk, Duration::from_millis(2500)).await;
    assert!(!told.iter().any(|(name, _)| name == "user-offline"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_hear_of_the_desk_and_never_of_each_other() {
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
async fn a_socket_that_closes_while_it_authenticates_leaves_nobody_behind() {
    let server = TestServer::start(&["--offline-grace", "50ms"]).await;
    let (ann, ada, eve) = (server.customer("ann").await, server.agent("ada").await, server.customer("eve").await);
    let frame = format!("42{}", json!(["authenticate", ann.token]));
    for _ in 0..60 {
        let mut wire = Wire::connect(&server.url).await;
        wire.send(frame.clone()).await;
        // Dropped at once: the server learns of it while it looks the token up.
    }
    // Eve arrives and goes by the book, after all the others, so that what she is told of marks the end.
    let desk = server.enter(&ada).await;
    settle(&desk, QUIET).await;
    let late = server.enter(&ada).await;
    drop(server.enter(&eve).await);
    let seen = settle(&late, QUIET).await;
    let online = seen.iter().any(|(name, event)| name == "user-online" && event["userId"] == ann.id.to_string());
    assert!(!online, "a customer without a socket is shown as online: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_gives_no_sign_of_life_is_gone_and_gets_later_what_it_missed() {
    let flags = ["--offline-grace", "100ms", "--ping-interval", "300ms", "--ping-timeout", "300ms"];
    let server = TestServer::start(&flags).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = server.enter(&ada).await;
    let mut frozen = Wire::connect(&server.url).await;
    assert!(frozen.send(format!("42{}", json!(["authenticate", ann.token]))).await);
    while !frozen.next(SOON).await.expect("no answer").starts_with(r#"42["authenticated""#) {}
    // From here on the client takes nothing out of its socket, as a machine whose cable was pulled.
    let ask = json!({"receiverId": ann.id.to_string(), "message": "into the void"});
    assert_eq!(desk.emit_ack("send-message", ask).await.unwrap()["ok"], true);
    let gone = desk.wait_for("user-offline", SOON).await.unwrap();
    assert_eq!(gone["userId"], ann.id.to_string());

    let back = server.enter(&ann).await;
    assert_eq!(back.wait_for("receive-message", SOON).await.unwrap()["message"], "into the void");
    let more = settle(&back, QUIET).await;
    assert!(!more.iter().any(|(name, _)| name == "receive-message"), "told twice: {more:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_before_the_old_socket_is_known_to_be_dead_misses_nothing() {
    let server = TestServer::start(&["--ping-interval", "300ms", "--ping-timeout", "700ms"]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = server.enter(&ada).await;
    let mut frozen = Wire::connect(&server.url).await;
    assert!(frozen.send(format!("42{}", json!(["authenticate", ann.token]))).await);
    while !frozen.next(SOON).await.expect("no answer").starts_with(r#"42["authenticated""#) {}
    let ask = json!({"receiverId": ann.id.to_string(), "message": "into the void"});
    assert_eq!(desk.emit_ack("send-message", ask).await.unwrap()["ok"], true);

    // The server does not know yet that nobody reads the old socket; once it does, the new one gets what was lost.
    let back = server.enter(&ann).await;
    let got = back.wait_for("receive-message", SOON).await;
    assert_eq!(got.expect("lost in the old socket")["message"], "into the void");
}
