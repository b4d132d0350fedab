//! What was only written to a socket has not arrived: neither what a client sends afterwards nor how it closes proves anything.

use std::time::Duration;

use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{SOON, TestServer, Wire, enter, send_message, settle, text};

/// Longer than the half second after which anything that a client sent once confirmed a message.
const LONG: Duration = Duration::from_millis(900);

/// What somebody has received by the time that nothing more comes.
fn received(events: &[(String, Value)]) -> Vec<&str> {
    let messages = events.iter().filter(|(name, _)| name == "receive-message");
    messages.map(|(_, message)| text(message, "message")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_and_does_not_read_receives_everything_on_its_next_connection() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = enter(&server.url, &ada).await;
    let mut deaf = Wire::connect(&server.url).await;
    deaf.authenticate(&ann).await;
    send_message(&desk, &ann, "one").await;
    sleep(LONG).await;
    let typing = json!(["typing", {"receiverId": ada.id.to_string()}]);
    assert!(deaf.send(format!("42{typing}")).await);
    desk.wait_for("user-typing", SOON).await.unwrap();
    // Longer than the two seconds after which the end of a connection once confirmed a message.
    sleep(LONG * 2).await;
    drop(deaf);
    let back = Client::connect(&server.url).await.unwrap();
    back.emit_ack("authenticate", json!({"token": ann.token})).await.unwrap();
    assert_eq!(received(&settle(&back, LONG).await), ["one"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_else_on_the_same_socket_does_not_confirm_what_was_sent_to_the_one_before() {
    let server = TestServer::start(&[]).await;
    let (ann, ben, ada) = (server.customer("ann").await, server.customer("ben").await, server.agent("ada").await);
    let desk = enter(&server.url, &ada).await;
    let mut deaf = Wire::connect(&server.url).await;
    deaf.authenticate(&ann).await;
    send_message(&desk, &ann, "one").await;
    let authenticate = json!(["authenticate", ben.token]);
    assert!(deaf.send(format!("42{authenticate}")).await);
    while desk.wait_for("user-online", SOON).await.unwrap()["userId"] != ben.id.to_string() {}
    drop(deaf);
    let back = Client::connect(&server.url).await.unwrap();
    back.emit_ack("authenticate", json!({"token": ann.token})).await.unwrap();
    assert_eq!(received(&settle(&back, LONG).await), ["one"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_does_not_count_written_events_as_received() {
    let mut server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = enter(&server.url, &ada).await;
    let mut deaf = Wire::connect(&server.url).await;
    deaf.authenticate(&ann).await;
    send_message(&desk, &ann, "one").await;
    server.restart().await;
    drop(deaf);
    let back = Client::connect(&server.url).await.unwrap();
    back.emit_ack("authenticate", json!({"token": ann.token})).await.unwrap();
    assert_eq!(received(&settle(&back, LONG).await), ["one"]);
}
