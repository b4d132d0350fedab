//! Messages that a person writes while their page is still catching up.

use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};

use crate::support::{SOON, TestServer, enter, send_message};

/// Number of messages that the customer has missed.
const MISSED: usize = 300;

/// The texts of the next messages that a client receives, in order of arrival.
async fn shown(client: &Client, count: usize) -> Vec<String> {
    let mut shown = Vec::new();
    while shown.len() < count {
        let (name, payload) = client.next_event(SOON).await.expect("a message is missing");
        let text = payload.get("message").and_then(Value::as_str);
        if let ("receive-message" | "message-sent", Some(text)) = (name.as_str(), text) {
            shown.push(text.to_owned());
        }
    }
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_written_during_the_catch_up_follow_the_missed_ones_in_every_tab() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = enter(&server.url, &ada).await;
    let mut expected = Vec::new();
    for n in 0..MISSED {
        let missed = format!("missed {n}");
        send_message(&desk, &ann, &missed).await;
        expected.push(missed);
    }
    let tabs = [Client::connect(&server.url).await.unwrap(), Client::connect(&server.url).await.unwrap()];
    for tab in &tabs {
        tab.emit("authenticate", json!({"token": ann.token})).unwrap();
    }
    for n in 0..5 {
        let own = format!("own {n}");
        send_message(&tabs[0], &ada, &own).await;
        expected.push(own);
    }
    for tab in &tabs {
        assert_eq!(shown(tab, expected.len()).await, expected);
    }
}
