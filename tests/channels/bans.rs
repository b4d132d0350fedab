//! A visitor who is banned.

use deskline::domain::{Ban, Banned, Clock as _, Members, Role, SystemClock};
use serde_json::json;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, TestServer, Who};

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_visitor_loses_every_socket_and_cannot_read_write_or_reconnect() {
    let server = TestServer::start().await;
    let ada = server.account("Ada Min", "ada@example.com", Role::Admin).await;
    let (room, ann) = server.visit("Ann").await;
    let (other, bob) = server.visit("Bob").await;
    let path = format!("/ws/chat/{room}/");
    let Who::Session(cookie) = &ann else { panic!("a visitor has a cookie") };
    let mut own = server.try_socket(&path, Some(cookie)).await.unwrap();
    let mut guest = server.try_socket(&path, None).await.unwrap();
    let mut others = server.socket(&format!("/ws/chat/{other}/")).await;

    let customer = server.stores.conversations.summary_by_uuid(room.parse::<uuid::Uuid>().unwrap().as_u128()).await;
    let customer = customer.unwrap().unwrap().conversation.members;
    let Members::Support { customer } = customer else { panic!("the room of a customer") };
    let now = SystemClock.now();
    let ban = Ban { who: Banned::Person(customer), until: now.after(Duration::from_hours(1)) };
    // Written to the store as by another process; the server reads it from there.
    assert!(server.stores.bans.save_ban(ban, now).await.unwrap());
    let since = Instant::now();
    assert_eq!((own.end().await, guest.end().await), (4404, 4404));
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());

    let send = format!("/api/public/chat-rooms/{room}/send_message/");
    for who in [&ann, &Who::Nobody] {
        for answer in [server.post(&send, who, json!({"content": "x"})).await, server.get(&send, who).await] {
            if answer.status != 405 {
                assert_eq!((answer.status, &answer.json["code"]), (403, &json!("banned")), "{}", answer.json);
                assert!(answer.json["retryAfterMs"].as_u64().is_some_and(|ms| ms > 3_500_000), "{}", answer.json);
            }
        }
    }
    let new = server.post("/api/public/chat-rooms/", &ann, json!({"customer_name": "Ann"})).await;
    assert_eq!((new.status, &new.json["code"]), (403, &json!("banned")), "no new room with the old cookie");
    for session in [Some(cookie.as_str()), None] {
        match server.try_socket(&path, session).await {
            Ok(mut socket) => assert_eq!(socket.end().await, 4404),
            Err(status) => assert_eq!(status, 403),
        }
    }
    let agent = Who::Bearer(server.token(&ada));
    assert_eq!(server.get(&format!("/api/admin/chat-rooms/{room}/"), &agent).await.status, 200, "agents see the room");
    let heard =
        server.post(&format!("/api/public/chat-rooms/{other}/send_message/"), &bob, json!({"content": "hi"})).await;
    assert_eq!(heard.status, 201);
    assert_eq!(others.next_of("chat_message").await["message"]["content"], "hi", "others are not affected");

    assert!(server.stores.bans.lift_ban(ban.who).await.unwrap());
    let since = Instant::now();
    while server.post(&send, &ann, json!({"content": "back"})).await.status != 201 {
        assert!(since.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
}
