//! Steps that many tests take with a client.

use std::time::Duration;

use deskline::lab::testkit::socketio::{Client, ClientError};
use serde_json::{Value, json};

use super::Account;

/// A client of this account: connected, authenticated and caught up.
pub(crate) async fn enter(url: &str, account: &Account) -> Client {
    let client = Client::connect(url).await.unwrap();
    let answer = client.emit_ack("authenticate", json!({ "token": account.token })).await.unwrap();
    assert_eq!((&answer["success"], &answer["role"]), (&json!(true), &json!(account.role.word())), "{answer}");
    client
}

/// Sends a message, and returns its acknowledgement. Panics if it is refused.
pub(crate) async fn send_message(client: &Client, to: &Account, text: &str) -> Value {
    let message = json!({"receiverId": to.id.to_string(), "message": text});
    let answer = client.emit_ack("send-message", message).await.unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    answer
}

/// Receives events until none has arrived for `quiet`.
pub(crate) async fn settle(client: &Client, quiet: Duration) -> Vec<(String, Value)> {
    let mut heard = Vec::new();
    loop {
        match client.next_event(quiet).await {
            Ok(event) => heard.push(event),
            Err(ClientError::TimedOut(_) | ClientError::Closed) => return heard,
            Err(error) => panic!("{error}"),
        }
    }
}
