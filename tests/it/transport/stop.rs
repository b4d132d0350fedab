//! Messages that are acknowledged while a server stops also reach polling clients, before or after the restart.

use std::collections::HashSet;
use std::time::Duration;

use deskline::domain::Role;
use deskline::lab::testkit::socketio::Client;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, SOON, Site, enter, settle, text};

const PEOPLE: [&str; 8] = ["ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];

/// Sends one message after the other until one is refused. Returns the acknowledged ones.
async fn send_until_refused(desk: &Client, to: &Account) -> HashSet<String> {
    let mut acknowledged = HashSet::new();
    loop {
        let name = format!("{}-{}", to.name, acknowledged.len());
        let message = json!({"receiverId": to.id.to_string(), "message": name, "clientMessageId": name});
        match desk.emit_ack("send-message", message).await {
            Ok(answer) if answer["ok"] == true => acknowledged.insert(name),
            Ok(_) | Err(_) => return acknowledged,
        };
    }
}

fn messages(heard: &[(String, Value)]) -> impl Iterator<Item = String> {
    heard.iter().filter(|(name, _)| name == "receive-message").map(|(_, event)| text(event, "message").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polling_client_misses_no_acknowledged_message_while_the_server_stops() {
    let customers = PEOPLE.map(|name| (name, Role::Customer));
    let people: Vec<_> = [("ada", Role::Admin)].into_iter().chain(customers).collect();
    for round in 0..3 {
        let (site, people) = Site::with(&people).await;
        let server = site.start(&["--send-rate", "0"]).await;
        let polling = join_all(people[1..].iter().map(async |who| {
            let client = Client::connect_by_polling(&server.url).await.unwrap();
            assert_eq!(client.emit_ack("authenticate", json!({"token": who.token})).await.unwrap()["success"], true);
            client
        }))
        .await;
        let desks = join_all(people[1..].iter().map(|_| enter(&server.url, &people[0]))).await;
        let saying = join_all(desks.iter().zip(&people[1..]).map(|(desk, to)| send_until_refused(desk, to)));
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(300 + 70 * round)).await;
            server.signal("TERM").await;
        };
        let (acknowledged, ()) = tokio::join!(saying, stopping);
        let (status, log) = server.ended().await;
        assert_eq!(status.code(), Some(0), "{log}");
        let again = site.start(&[]).await;
        for ((who, client), acknowledged) in people[1..].iter().zip(&polling).zip(acknowledged) {
            let mut had: HashSet<String> = messages(&settle(client, Duration::from_millis(200)).await).collect();
            let back = enter(&again.url, who).await;
            had.extend(messages(&settle(&back, SOON / 10).await));
            let lost: Vec<_> = acknowledged.difference(&had).collect();
            assert!(lost.is_empty(), "round {round}: {} of {}: {lost:?}", who.name, acknowledged.len());
        }
    }
}
