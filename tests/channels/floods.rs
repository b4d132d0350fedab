//! A socket on which far too many frames are sent: what it receives, and when it is closed.

use std::time::{Duration, Instant};

use deskline::domain::Role;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Socket, TestServer, Who};

/// Sends this frame 200 times a second until the socket is closed. Returns all received frames, the close code, and
/// after what time.
async fn flood(mut socket: Socket, frame: Value) -> (Vec<Value>, u16, Duration) {
    let began = Instant::now();
    let mut heard = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    loop {
        tokio::select! {
            _ = tick.tick() => socket.try_send(&frame).await,
            next = socket.next_or_end() => match next {
                Ok(frame) => heard.push(frame),
                Err(code) => return (heard, code, began.elapsed()),
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_socket_is_closed_after_ten_seconds_of_refused_frames() {
    let server = TestServer::start_with(&["--send-rate", "1"]).await;
    let uma = server.account("Uma One", "uma@x.test", Role::Customer).await;
    let ada = server.account("Ada Min", "ada@x.test", Role::Admin).await;
    let who = Who::Bearer(server.token(&uma));
    let portal = server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].clone();
    let (shop, session) = server.visit("vic").await;
    let Who::Session(session) = session else { panic!("a visitor has a session") };
    let visitor = server.try_socket(&format!("/ws/chat/{shop}/"), Some(&session)).await.unwrap();
    let agent = server.socket(&format!("/ws/admin/chat/?token={}", server.token(&ada))).await;
    let customer = server.socket(&format!("/ws/chat/{portal}/?token={}", server.token(&uma))).await;
    let limit = Duration::from_secs(40);
    let (visitor, agent, customer) = tokio::join!(
        timeout(limit, flood(visitor, json!({"type": "chat_message", "content": "again"}))),
        timeout(limit, flood(agent, json!({"type": "nonsense"}))),
        timeout(limit, flood(customer, json!({"type": "typing", "is_typing": true}))),
    );
    for (name, ended) in [("visitor", visitor), ("agent", agent), ("customer", customer)] {
        let (heard, code, after) = ended.unwrap_or_else(|_| panic!("the socket of the {name} was not closed"));
        assert_eq!(code, 1008, "{name}");
        assert!(after >= Duration::from_secs(9), "{name} was closed after {after:?}");
        if name == "visitor" {
            let refused = heard.iter().find(|frame| frame["type"] == "error").unwrap();
            assert_eq!(refused["code"], "rate_limited", "{refused}");
            assert!(refused["retryAfterMs"].as_u64().unwrap() > 0, "{refused}");
            assert!(heard.iter().filter(|frame| frame["type"] == "error").count() < 400, "too many error frames");
        }
    }
}

#[tokio::test]
async fn a_refused_request_says_when_to_retry_in_every_dialect() {
    let server = TestServer::start_with(&["--send-rate", "1"]).await;
    let uma = server.account("Uma One", "uma@x.test", Role::Customer).await;
    let ada = server.account("Ada Min", "ada@x.test", Role::Admin).await;
    let who = Who::Bearer(server.token(&uma));
    let portal = server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].clone();
    let (shop, session) = server.visit("vic").await;
    let routes = [
        ("/api/chat/messages/".to_owned(), &who, json!({"room_id": portal, "message": "again"})),
        (format!("/api/public/chat-rooms/{shop}/send_message/"), &session, json!({"content": "again"})),
        ("/api/chat/send".to_owned(), &who, json!({"receiverId": ada.id.to_string(), "message": "again"})),
    ];
    for (path, who, body) in routes {
        let mut refused = None;
        for _ in 0..100 {
            let answer = server.post(&path, who, body.clone()).await;
            assert!(matches!(answer.status, 200 | 201 | 429), "{path}: {} {}", answer.status, answer.json);
            if answer.status == 429 {
                refused = Some(answer.json);
                break;
            }
        }
        let refused = refused.unwrap_or_else(|| panic!("{path} is never refused"));
        assert_eq!(refused["code"], "rate_limited", "{path}: {refused}");
        assert!(refused["retryAfterMs"].as_u64().unwrap() > 0, "{path}: {refused}");
    }
    for (path, body) in [
        ("/api/auth/login", json!({"email": "uma@x.test", "password": "wrong"})),
        ("/api/token/", json!({"email": "ada@x.test", "password": "wrong"})),
    ] {
        let mut refused = Value::Null;
        for _ in 0..50 {
            let answer = server.post(path, &Who::Nobody, body.clone()).await;
            if answer.status == 429 {
                refused = answer.json;
                break;
            }
        }
        assert_eq!(refused["code"], "rate_limited", "{path}: {refused}");
        assert!(refused["retryAfterMs"].as_u64().unwrap() > 0, "{path}: {refused}");
    }
}
