//! What a client gets after reconnecting, on a store without a global order of entries.

use std::time::Duration;

use deskline::domain::{Role, Seq};
use deskline::lab::testkit::socketio::Client;
use tokio::time::{Instant, sleep};

use crate::support::{PATIENCE, Site, enter, send_message};

/// Shorter than the interval after which an idle client is pinged.
const SOON: Duration = Duration::from_secs(15);

async fn hears(client: &Client, expected: &[&str]) {
    for text in expected {
        let got = client.wait_for("receive-message", PATIENCE).await.unwrap();
        assert_eq!(got["message"], *text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tab_that_was_disconnected_gets_what_another_tab_got_and_nothing_twice() {
    let Some((site, people)) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer)]).await else { return };
    let (ada, ann) = (&people[0], &people[1]);
    let (server, to) = (site.start().await, ann.id.to_string());
    let desk = enter(&server, &ada.token).await;
    let (cut, other) = (enter(&server, &ann.token).await, enter(&server, &ann.token).await);
    drop(cut);
    send_message(&desk, &to, "meanwhile").await;
    hears(&other, &["meanwhile"]).await;
    let back = enter(&server, &ann.token).await;
    hears(&back, &["meanwhile"]).await;
    send_message(&desk, &to, "after that").await;
    for client in [&other, &back] {
        hears(client, &["after that"]).await;
    }
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_arrived_before_a_kill_are_not_sent_again_and_the_others_are() {
    let Some((site, people)) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer)]).await else { return };
    let (ada, ann) = (&people[0], &people[1]);
    let (server, to) = (site.start().await, ann.id.to_string());
    let (desk, client) = (enter(&server, &ada.token).await, enter(&server, &ann.token).await);
    let answer = send_message(&desk, &to, "arrived").await;
    hears(&client, &["arrived"]).await;
    let conversation = answer["conversationId"].as_str().unwrap().parse().unwrap();
    let (store, until) = (site.store().await.stores(), Instant::now() + SOON);
    // She sends nothing, but answers pings.
    while store.conversations.delivered(conversation, ann.id).await.unwrap() < Some(Seq::new(1)) {
        assert!(Instant::now() < until, "she is not pinged");
        sleep(Duration::from_millis(100)).await;
    }
    drop(client);
    send_message(&desk, &to, "not arrived").await;
    server.signal("KILL").await;
    server.ended().await;
    let server = site.start().await;
    let desk = enter(&server, &ada.token).await;
    let back = enter(&server, &ann.token).await;
    send_message(&desk, &to, "the last").await;
    hears(&back, &["not arrived", "the last"]).await;
    site.remove().await;
}
