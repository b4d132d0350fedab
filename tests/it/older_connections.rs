//! Clients that reconnect before their older connection is detected as dead get each message once, in the order of the
//! log. These clients cannot say what they have.

use std::time::Duration;

use deskline::lab::testkit::socketio::Client;
use serde_json::json;

use crate::support::{Account, Polls, SOON, TestServer, Wire, enter, send_message, text};

/// The heartbeat is too slow to detect the older connection.
const FLAGS: [&str; 4] = ["--ping-interval", "60s", "--ping-timeout", "60s"];

struct Scene {
    server: TestServer,
    ann: Account,
    desk: Client,
}

impl Scene {
    async fn set() -> Self {
        let server = TestServer::start(&FLAGS).await;
        let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
        let desk = enter(&server.url, &ada).await;
        Self { server, ann, desk }
    }

    async fn send(&self, message: &str) {
        send_message(&self.desk, &self.ann, message).await;
    }

    /// The messages that a client receives, up to this one.
    async fn heard(&self, client: &Client, last: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|heard| heard != last) {
            let message = client.wait_for("receive-message", SOON).await.expect("a message is missing");
            heard.push(text(&message, "message").to_owned());
        }
        heard
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_beside_its_dead_websocket_receives_older_messages_before_new_ones() {
    let scene = Scene::set().await;
    let mut dead = Wire::connect(&scene.server.url).await;
    dead.authenticate(&scene.ann).await;
    scene.send("one").await;
    scene.send("two").await;
    let back = enter(&scene.server.url, &scene.ann).await;
    scene.send("three").await;
    scene.send("four").await;
    assert_eq!(scene.heard(&back, "four").await, ["one", "two", "three", "four"]);
    scene.send("five").await;
    assert_eq!(scene.heard(&back, "five").await, ["five"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_beside_its_dead_polling_session_receives_older_messages_before_new_ones() {
    let scene = Scene::set().await;
    let polls = Polls::open(&scene.server.url).await;
    polls.send(&format!("42{}", json!(["authenticate", scene.ann.token]))).await;
    polls.poll_for("authenticated").await;
    scene.send("one").await;
    polls.poll_for("one").await;
    let back = enter(&scene.server.url, &scene.ann).await;
    scene.send("two").await;
    assert_eq!(scene.heard(&back, "two").await, ["one", "two"]);
    assert_eq!(polls.poll().await, "1", "its session has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_tab_does_not_receive_again_what_the_first_one_has() {
    let scene = Scene::set().await;
    let polling = Client::connect_by_polling(&scene.server.url).await.unwrap();
    polling.emit_ack("authenticate", json!({"token": scene.ann.token})).await.unwrap();
    let mut tabs = vec![polling, enter(&scene.server.url, &scene.ann).await];
    for n in 0..5 {
        let (before, now) = (format!("before {n}"), format!("now {n}"));
        scene.send(&before).await;
        let second = enter(&scene.server.url, &scene.ann).await;
        scene.send(&now).await;
        assert_eq!(scene.heard(&second, &now).await.join(", "), now, "it has received more");
        for tab in &tabs {
            assert_eq!(scene.heard(tab, &now).await, [before.clone(), now.clone()]);
        }
        tabs.push(second);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_tab_that_is_alive_stays_connected() {
    let scene = Scene::set().await;
    let polling = Client::connect_by_polling(&scene.server.url).await.unwrap();
    polling.emit_ack("authenticate", json!({"token": scene.ann.token})).await.unwrap();
    let (first, mut second) = (enter(&scene.server.url, &scene.ann).await, enter(&scene.server.url, &scene.ann).await);
    for n in 0..3 {
        scene.send(&format!("before {n}")).await;
        second = enter(&scene.server.url, &scene.ann).await;
        // For longer than the server waits for an answer.
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    scene.send("last").await;
    for tab in [&first, &polling, &second] {
        assert_eq!(scene.heard(tab, "last").await.last().unwrap(), "last");
    }
}
