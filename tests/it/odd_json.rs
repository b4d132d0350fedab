//! JSON that browsers write and strict parsers refuse, and JSON that is meant to break parsers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestServer, Wire};

const SOON: Duration = Duration::from_secs(10);

/// The answer to an event with this acknowledgement id.
async fn answer(wire: &mut Wire, id: u32) -> Value {
    let prefix = format!("43{id}");
    loop {
        let frame = wire.next(SOON).await.expect("the socket was closed");
        if let Some(rest) = frame.strip_prefix(&prefix) {
            return serde_json::from_str::<Value>(rest).unwrap()[0].clone();
        }
    }
}

#[tokio::test]
async fn a_lone_surrogate_is_shown_as_a_replacement_character() {
    let server = TestServer::start(&[]).await;
    let (ann, admin) = (server.customer("ann").await, server.agent("admin").await);
    let hearing = server.enter(&admin).await;
    let mut wire = Wire::connect(&server.url).await;
    wire.authenticate(&ann).await;
    let to = admin.id;
    assert!(wire.send(format!(r#"421["send-message",{{"receiverId":"{to}","message":"cut \ud83d"}}]"#)).await);
    let sent = answer(&mut wire, 1).await;
    assert_eq!(sent["ok"], true, "{sent}");
    let heard = hearing.wait_for("receive-message", SOON).await.unwrap();
    assert_eq!(heard["message"], "cut \u{fffd}");

    let http = reqwest::Client::new();
    let body = format!(r#"{{"receiverId":"{to}","message":"\ude00 cut"}}"#);
    let asked = http.post(format!("{}/api/chat/send", server.url)).bearer_auth(&ann.token).body(body);
    assert_eq!(asked.send().await.unwrap().status(), 201);
    assert_eq!(hearing.wait_for("receive-message", SOON).await.unwrap()["message"], "\u{fffd} cut");
}

#[tokio::test]
async fn malformed_json_is_refused_and_the_socket_stays_open() {
    let server = TestServer::start(&[]).await;
    let ann = server.customer("ann").await;
    let mut wire = Wire::connect(&server.url).await;
    wire.authenticate(&ann).await;
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let payloads =
        [deep(120), deep(200), deep(20_000), "1e999".into(), "{\"message\":1e999}".into(), "\"\\ud83d\"".into()];
    for (id, payload) in (1..).zip(payloads) {
        assert!(wire.send(format!(r#"42{id}["send-message",{payload}]"#)).await);
        let refused = answer(&mut wire, id).await;
        assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("invalid")), "{id}: {refused}");
    }
    assert!(wire.send(r#"4299["resume",{}]"#).await);
    assert_eq!(answer(&mut wire, 99).await["ok"], true);
}

#[tokio::test]
async fn an_answer_has_no_duplicate_key() {
    let server = TestServer::start(&[]).await;
    let ann = server.customer("ann").await;
    let mut wire = Wire::connect(&server.url).await;
    assert!(wire.send(format!(r#"421["authenticate","{}"]"#, ann.token)).await);
    loop {
        let frame = wire.next(SOON).await.expect("the socket was closed");
        if frame.starts_with("431") {
            assert_eq!(frame.matches(r#""success""#).count(), 1, "{frame}");
            assert!(frame.contains(r#""userId""#) && frame.contains(r#""role""#), "{frame}");
            return;
        }
    }
}
