//! `deskline verify` as a command: on a store that is being written to, and on one with differences.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deskline::domain::Role;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Site, TestServer, enter, run};

/// Pause of a customer between two messages. Without pauses, `verify` would never find the conversation unchanged.
const PAUSE: Duration = Duration::from_millis(50);

/// Minimum number of runs, and of messages sent meanwhile; fewer would prove too little.
const ROUNDS: u32 = 10;
const SAID: u32 = 50;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_written_to_meanwhile_is_found_correct() {
    let server = TestServer::start(&[]).await;
    let (ada, count) = (server.agent("ada").await, Arc::new(AtomicU32::new(0)));
    let mut talking = JoinSet::new();
    for n in 0..4 {
        let customer = server.customer(&format!("c{n}")).await;
        let (client, desk) = (server.enter(&customer).await, server.enter(&ada).await);
        let (to, from, count) = (ada.id.to_string(), customer.id.to_string(), count.clone());
        talking.spawn(async move {
            loop {
                // Both change the projections.
                let ask = json!({"receiverId": to, "message": "help"});
                assert_eq!(client.emit_ack("send-message", ask).await.unwrap()["ok"], true);
                assert_eq!(desk.emit_ack("mark-read", json!({"senderId": from})).await.unwrap()["ok"], true);
                count.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    // Until both minimums are reached: on a slow disk, few messages are sent during that number of runs.
    let mut round = 0;
    while round < ROUNDS || count.load(Ordering::SeqCst) < SAID {
        assert!(talking.try_join_next().is_none(), "a message could not be sent");
        round += 1;
        let verified = run(&["verify", "--data", &server.data()]).await;
        let output = said(&verified);
        assert!(verified.status.success() && output.contains(": 0 differences"), "round {round}: {output}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn violations_fail_the_command_and_are_repaired_on_request() {
    let (site, people) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer)]).await;
    let server = site.start(&[]).await;
    let ann = enter(&server.url, &people[1]).await;
    let ask = json!({"receiverId": people[0].id.to_string(), "message": "hello"});
    assert_eq!(ann.emit_ack("send-message", ask).await.unwrap()["ok"], true);
    server.signal("TERM").await;
    server.ended().await;
    let data = site.data();
    let verify = async |more: &[&str]| run(&[&["verify", "--data", data.to_str().unwrap()], more].concat()).await;

    let sound = verify(&[]).await;
    assert_eq!(sound.status.code(), Some(0), "{}", said(&sound));
    assert!(said(&sound).contains("1 conversations, 1 entries: 0 differences, 0 conversations repaired."));

    let raw = rusqlite::Connection::open(&data).unwrap();
    assert_eq!(raw.execute("UPDATE conversations SET desk_unread = desk_unread + 6", []).unwrap(), 1);
    drop(raw);
    for _ in 0..2 {
        let wrong = verify(&[]).await;
        let output = said(&wrong);
        assert_eq!(wrong.status.code(), Some(1), "{output}");
        assert!(output.contains("the desk's unread count is 7, the log says 1"), "{output}");
        assert!(
            output.contains("1 differences, 0 conversations repaired.") && output.contains("hint: --fix"),
            "{output}"
        );
    }
    let fixed = verify(&["--fix"]).await;
    assert_eq!(fixed.status.code(), Some(0), "{}", said(&fixed));
    assert!(said(&fixed).contains("1 differences, 1 conversations repaired."), "{}", said(&fixed));
    assert!(verify(&[]).await.status.success());

    let raw = rusqlite::Connection::open(&data).unwrap();
    assert_eq!(raw.execute("UPDATE entries SET seq = 2", []).unwrap(), 1);
    drop(raw);
    let broken = verify(&["--fix"]).await;
    assert_eq!(broken.status.code(), Some(1), "a gap in the log cannot be repaired: {}", said(&broken));
    assert!(said(&broken).contains("entry 1 is missing from the log"), "{}", said(&broken));
}
