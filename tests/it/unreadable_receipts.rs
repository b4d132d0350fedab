//! A conversation whose receipts cannot be read does not delay those of others.

use std::time::Duration;

use deskline::domain::Role;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{SOON, Site, enter};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_cannot_be_read_do_not_delay_others() {
    let people = [("ada", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer)];
    let (site, people) = Site::with(&people).await;
    let [ada, ann, bob] = &people[..] else { panic!() };
    let server = site.start(&[]).await;
    let mut conversations = Vec::new();
    for customer in [ann, bob] {
        let message = json!({"receiverId": ada.id.to_string(), "message": "is anybody there?"});
        let sent = enter(&server.url, customer).await.emit_ack("send-message", message).await.unwrap();
        conversations.push(sent["conversationId"].as_str().unwrap().to_owned());
    }
    server.signal("TERM").await;
    server.ended().await;
    // A negative seq is invalid.
    let raw = rusqlite::Connection::open(site.data()).unwrap();
    let spoil = "UPDATE conversations SET customer_sent = -1 WHERE hex(id) = upper(?1)";
    assert_eq!(raw.execute(spoil, [&conversations[0]]).unwrap(), 1);
    drop(raw);

    let server = site.start(&[]).await;
    let client = deskline::lab::testkit::socketio::Client::connect(&server.url).await.unwrap();
    let answer = client.emit_ack("authenticate", json!({"token": bob.token, "receipts": true})).await.unwrap();
    assert_eq!(answer["success"], true, "{answer}");
    let _desk = enter(&server.url, ada).await;
    let status = client.wait_for("message-status", SOON).await.unwrap();
    assert_eq!(status["conversationId"], *conversations[1], "{status}");
    let (began, says) = (Instant::now(), "Could not update the receipts of a conversation: ");
    while !server.log().contains(says) {
        assert!(began.elapsed() < SOON, "{}", server.log());
        sleep(Duration::from_millis(20)).await;
    }
}
