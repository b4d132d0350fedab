//! A connection that sends far too many events: what is refused, and when it is closed.

use std::time::{Duration, Instant};

use deskline::lab::testkit::socketio::{Client, ClientError};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::TestServer;

/// Sends these events, 200 a second, until the connection is closed. Returns the reason, and after what time.
async fn flood(client: &Client, name: &str, payload: Value) -> (Value, Duration) {
    let began = Instant::now();
    let mut reason = Value::Null;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    loop {
        tick.tick().await;
        let is_gone = client.emit(name, payload.clone()).is_err();
        loop {
            match client.next_event(Duration::ZERO).await {
                Ok((event, said)) => {
                    if event == "error" && said["message"].as_str().is_some_and(|text| text.contains("closed")) {
                        reason = said;
                    }
                }
                Err(ClientError::TimedOut(_)) if !is_gone => break,
                Err(_) => return (reason, began.elapsed()),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_closed_with_a_reason_after_ten_seconds_of_refused_events() {
    let server = TestServer::start(&[]).await;
    let (ann, bob) = (server.customer("ann").await, server.customer("bob").await);
    let resuming = server.enter(&ann).await;
    let nonsense = server.enter(&bob).await;
    let other = server.enter(&ann).await;
    let limit = Duration::from_secs(40);
    let floods = async {
        tokio::join!(
            timeout(limit, flood(&resuming, "resume", json!({"conversations": {}}))),
            timeout(limit, flood(&nonsense, "mark-read", json!({"senderId": "nobody"}))),
        )
    };
    let (resuming, nonsense) = floods.await;
    for closed in [resuming, nonsense] {
        let (reason, after) = closed.expect("the connection was not closed");
        assert_eq!(reason["code"], "rate_limited", "{reason}");
        assert!(reason["retryAfterMs"].as_u64().unwrap() > 0, "{reason}");
        assert!(after >= Duration::from_secs(9), "closed after {after:?}");
    }
    let answer = other.emit_ack("resume", json!({"conversations": {}})).await.unwrap();
    assert_eq!(answer["ok"], true, "another connection of the same person is affected: {answer}");
}

#[tokio::test]
async fn resume_and_authenticate_are_refused_beyond_their_rate_without_effect() {
    let server = TestServer::start(&[]).await;
    let ann = server.customer("ann").await;
    let client = server.enter(&ann).await;
    for (event, payload) in
        [("resume", json!({"conversations": {}})), ("authenticate", json!({"token": "wrong", "catchUp": false}))]
    {
        let mut refused = Value::Null;
        for _ in 0..10_000 {
            let payload = if event == "resume" { payload.clone() } else { json!({"token": ann.token}) };
            let answer = client.emit_ack(event, payload).await.unwrap();
            if answer["ok"] != true {
                refused = answer;
                break;
            }
        }
        assert_eq!((&refused["code"], &refused["retryable"]), (&json!("rate_limited"), &json!(true)), "{event}");
        assert!(refused["retryAfterMs"].as_u64().is_some_and(|wait| wait > 0), "{refused}");
    }
    // After a refused `authenticate`, the person of the connection is the same. On a slow machine, the next one may be due by then.
    let authenticate = async |token: &str| client.emit_ack("authenticate", json!({"token": token})).await.unwrap();
    while authenticate("wrong").await["code"] != "rate_limited" {
        while authenticate(&ann.token).await["ok"] != true {}
        while authenticate(&ann.token).await["code"] != "rate_limited" {}
    }
    let marked = client.emit_ack("received", json!({})).await.unwrap();
    assert_eq!(marked["code"], "invalid", "{marked}");
}

#[tokio::test]
async fn alternating_typing_notices_are_sent_once_a_second_and_end_in_the_last_state() {
    let server = TestServer::start(&[]).await;
    let (ann, admin) = (server.customer("ann").await, server.agent("admin").await);
    let (typist, hearer) = (server.enter(&ann).await, server.enter(&admin).await);
    let to = json!({"receiverId": admin.id.to_string()});
    let began = Instant::now();
    for _ in 0..60 {
        typist.emit_ack("typing", to.clone()).await.unwrap();
        typist.emit_ack("stop-typing", to.clone()).await.unwrap();
    }
    typist.emit_ack("typing", to.clone()).await.unwrap();
    let mut events = Vec::new();
    // The suppressed notice is sent when the second is over, in the state at that time.
    while events.last().map(String::as_str) != Some("user-typing") || events.len() < 3 {
        let (event, _) = hearer.next_event(Duration::from_secs(5)).await.unwrap();
        if event.starts_with("user-") && event.ends_with("typing") {
            events.push(event);
        }
    }
    let most = usize::try_from(began.elapsed().as_secs() + 1).unwrap();
    let of = |name: &str| events.iter().filter(|event| *event == name).count();
    assert!(of("user-typing") <= most && of("user-stop-typing") <= most, "{events:?}");
}
