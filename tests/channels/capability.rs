//! With a room's id alone, a client can read the room and write for its customer, but does not count as the customer.
//! Additional credentials never reduce these rights.

use deskline::domain::{AccountStatus, Role};
use deskline::store::UserChange;
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};

fn said(content: &str) -> Value {
    json!({ "content": content })
}

/// The texts of the messages in a response.
fn texts(log: &Value) -> Vec<&str> {
    log.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_id_without_credentials_does_not_affect_presence_or_read_marks() {
    let server = TestServer::start().await;
    let ada = server.account("Ada Min", "ada@example.com", Role::Admin).await;
    let agent = Who::Bearer(server.token(&ada));
    let ann = server.account("Ann Lee", "ann@example.com", Role::Customer).await;
    let customer = Who::Bearer(server.token(&ann));
    let room = server.get("/api/public/chat-rooms/", &customer).await.json["results"][0]["id"].take();
    let room = room.as_str().unwrap();
    let mine = format!("/api/admin/chat-rooms/{room}/send_message/");
    assert_eq!(server.post(&mine, &agent, said("hello")).await.status, 201);
    let uuid = u128::from_str_radix(&room.replace('-', ""), 16).unwrap();
    let summary = async || server.stores.conversations.summary_by_uuid(uuid).await.unwrap().unwrap();
    let number = summary().await.conversation.number;
    let mut watching = server.socket(&format!("/ws/chat/{number}/?token={}", server.token(&ada))).await;
    while watching.hears().await.is_some() {}

    // The requests of generation A's panel when an agent opens a room. They have no token.
    let mut panel = server.socket(&format!("/ws/chat/{room}/")).await;
    assert_eq!(panel.next().await["type"], "room_info");
    let public = format!("/api/public/chat-rooms/{room}/");
    for path in [public.clone(), format!("{public}get_messages/"), format!("/api/public/chat-messages/?room_id={room}")]
    {
        assert_eq!(server.get(&path, &Who::Nobody).await.status, 200, "{path}");
    }
    while let Some(frame) = watching.hears().await {
        let is_event = frame["type"] == "read_receipt" || frame["status"] == "online";
        assert!(!is_event, "nobody has connected or read anything: {frame}");
    }
    assert_eq!(server.post(&mine, &agent, said("still there?")).await.status, 201);
    assert_eq!(panel.next_of("chat_message").await["message"]["content"], "still there?");
    assert_eq!(summary().await.sides[0].unread, 2, "the customer has read nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_another_room_do_not_reduce_the_rights_of_the_id() {
    let server = TestServer::start().await;
    let ann = server.account("Ann Lee", "ann@example.com", Role::Customer).await;
    let (room, _) = server.visit("Ann").await;
    let (_, other) = server.visit("Bob").await;
    let path = format!("/api/public/chat-rooms/{room}/");
    for who in [&Who::Nobody, &other, &Who::Bearer(server.token(&ann))] {
        let sent = server.post(&format!("{path}send_message/"), who, said("hi")).await;
        assert_eq!(sent.status, 201, "{who:?}: {}", sent.json);
        assert_eq!(server.get(&format!("{path}get_messages/"), who).await.status, 200, "{who:?}");
        let renamed = server.ask("PATCH", &path, who, Some(json!({"customer_name": "Mallory"}))).await;
        assert_eq!(renamed.status, 404, "{who:?}");
    }
    let Who::Session(secret) = &other else { panic!("a session") };
    let ws = format!("/ws/chat/{room}/");
    assert_eq!(server.try_socket(&ws, Some(secret)).await.unwrap().next().await["type"], "room_info");
    let token = server.token(&ann);
    assert_eq!(server.socket(&format!("{ws}?token={token}")).await.next().await["type"], "room_info");
    let path = format!("/api/public/user-chat/{room}/send_message/");
    assert_eq!(server.post(&path, &Who::Bearer(token), said("kept from before I signed in")).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_room_can_be_read_and_reopens_when_its_customer_writes() {
    let server = TestServer::start().await;
    let ada = server.account("Ada Min", "ada@example.com", Role::Admin).await;
    let agent = Who::Bearer(server.token(&ada));
    let (room, owner) = server.visit("Ann").await;
    let path = format!("/api/public/chat-rooms/{room}/");
    let mut open = server.socket(&format!("/ws/chat/{room}/")).await;
    open.next_of("room_info").await;
    for who in [&Who::Nobody, &owner] {
        let admin = format!("/api/admin/chat-rooms/{room}/");
        let closed = server.ask("PATCH", &admin, &agent, Some(json!({"status": "closed"}))).await;
        assert_eq!((closed.status, &closed.json["status"]), (200, &json!("closed")));
        assert_eq!(server.get(&path, who).await.json["status"], "closed", "{who:?}");
        assert_eq!(server.get(&format!("{path}get_messages/"), who).await.status, 200, "{who:?}");
        assert_eq!(server.post(&format!("{path}send_message/"), who, said("one more thing")).await.status, 201);
        assert_eq!(server.get(&path, who).await.json["status"], "waiting", "{who:?}");
        assert_eq!(open.next_of("chat_message").await["message"]["content"], "one more thing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_customers_room_can_be_read_by_its_id_but_nobody_writes_for_them() {
    let server = TestServer::start().await;
    let ann = server.account("Ann Lee", "ann@example.com", Role::Customer).await;
    let mine = server.get("/api/public/chat-rooms/", &Who::Bearer(server.token(&ann))).await.json["results"][0].take();
    let room = mine["id"].as_str().unwrap();
    let path = format!("/api/public/chat-rooms/{room}/");
    let send = format!("{path}send_message/");
    assert_eq!(server.post(&send, &Who::Nobody, said("before")).await.status, 201);
    let mut by_id = server.socket(&format!("/ws/chat/{room}/")).await;
    by_id.next_of("room_info").await;
    let blocked = UserChange { status: Some(AccountStatus::Blocked), ..UserChange::default() };
    server.stores.users.update_user(ann.id, blocked, deskline::domain::Timestamp::from_millis(1)).await.unwrap();
    let log = server.get(&format!("{path}get_messages/"), &Who::Nobody).await;
    assert_eq!((log.status, texts(&log.json)), (200, vec!["before"]));
    assert_eq!(server.post(&send, &Who::Nobody, said("after")).await.status, 404);
    by_id.send(json!({"type": "chat_message", "content": "after"})).await;
    assert_eq!(by_id.hears().await, None);
    let log = server.get(&format!("{path}get_messages/"), &Who::Nobody).await;
    assert_eq!(texts(&log.json), ["before"]);
}
