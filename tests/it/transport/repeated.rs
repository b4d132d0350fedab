//! A browser repeats a request when its reused connection closes before the response arrives.

use deskline::lab::testkit::socketio::Client;
use serde_json::json;

use crate::support::{Account, Polls, SOON, TestServer, enter, send_message, text};

/// These clients do not answer pings.
const PATIENT: [&str; 4] = ["--ping-interval", "60s", "--ping-timeout", "60s"];

struct Scene {
    server: TestServer,
    ann: Account,
    ada: Account,
    desk: Client,
}

impl Scene {
    async fn set() -> Self {
        let server = TestServer::start(&PATIENT).await;
        let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
        let desk = enter(&server.url, &ada).await;
        Self { server, ann, ada, desk }
    }

    /// The customer, whose browser polls.
    async fn enter_by_polling(&self) -> Polls {
        let polls = Polls::open_in_browser(&self.server.url).await;
        polls.send(&format!("42{}", json!(["authenticate", self.ann.token]))).await;
        polls.poll_for("authenticated").await;
        polls
    }

    /// The packet by which the customer sends a message.
    fn send(&self, message: &str) -> String {
        format!("42{}", json!(["send-message", {"receiverId": self.ada.id.to_string(), "message": message}]))
    }

    /// The next message that the desk receives.
    async fn heard(&self) -> String {
        let message = self.desk.wait_for("receive-message", SOON).await.expect("a message is missing");
        text(&message, "message").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_post_is_handled_once() {
    let scene = Scene::set().await;
    let polls = scene.enter_by_polling().await;
    for (t, message) in
        [("p1", "one"), ("p1", "one"), ("p1", "one"), ("p2", "one"), ("p3", "two"), ("p3", "two"), ("p4", "end")]
    {
        polls.send_as(t, &scene.send(message)).await;
    }
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| last != "end") {
        heard.push(scene.heard().await);
    }
    assert_eq!(heard, ["one", "one", "two", "end"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_poll_ends_the_session_so_that_its_client_reconnects_and_catches_up() {
    let scene = Scene::set().await;
    let polls = scene.enter_by_polling().await;
    let send = async |message: &str| drop(send_message(&scene.desk, &scene.ann, message).await);
    let mut turn = 0;
    let mut until = async |wanted: &str| {
        let mut answer = String::new();
        while !answer.contains(wanted) {
            turn += 1;
            answer = polls.poll_as(&format!("g{turn}")).await;
        }
        turn
    };
    send("one").await;
    until("one").await;
    send("two").await;
    let lost = until("two").await;
    assert_eq!(polls.poll_as(&format!("g{lost}")).await, "1", "its session is closed");
    let back = enter(&scene.server.url, &scene.ann).await;
    let mut heard = String::new();
    while heard != "two" {
        let message = back.wait_for("receive-message", SOON).await.expect("the lost message was not sent again");
        text(&message, "message").clone_into(&mut heard);
    }
}

/// Their `t` may be a clock in whole seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_other_than_browsers_may_repeat_the_names_of_requests() {
    let scene = Scene::set().await;
    let polls = Polls::open(&scene.server.url).await;
    polls.send_as("1795", &format!("42{}", json!(["authenticate", scene.ann.token]))).await;
    while !polls.poll_as("1795").await.contains("authenticated") {}
    for message in ["one", "two"] {
        polls.send_as("1796", &scene.send(message)).await;
        assert_eq!(scene.heard().await, message);
    }
}
