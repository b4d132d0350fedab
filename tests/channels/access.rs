//! A visitor cannot list or rename another visitor's room, nor read or write it without its id.

use deskline::domain::Role;
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};
use crate::shared::SECRET;

/// All requests that read or change a room.
fn attempts(room: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let path = format!("/api/public/chat-rooms/{room}/");
    vec![
        ("GET", path.clone(), None),
        ("PUT", path.clone(), Some(json!({"customer_name": "Mallory"}))),
        ("PATCH", path.clone(), Some(json!({"customer_name": "Mallory"}))),
        ("POST", format!("{path}send_message/"), Some(json!({"content": "hi"}))),
        ("GET", format!("{path}get_messages/"), None),
        ("GET", format!("/api/public/chat-messages/?room_id={room}"), None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_session_or_token_gives_no_more_rights_than_the_rooms_id() {
    let server = TestServer::start().await;
    let (room, owner) = server.visit("Ann").await;
    let (_, visitor) = server.visit("Mallory").await;
    let account = server.account("Mal Lory", "mal@example.com", Role::Customer).await;
    let (account, Who::Session(secret)) = (server.token(&account), visitor.clone()) else { panic!("a session") };
    for who in [visitor, Who::Bearer(account.clone())] {
        for (method, path, body) in attempts(&room) {
            let answer = server.ask(method, &path, &who, body).await;
            let is_rename = ["PUT", "PATCH"].contains(&method);
            assert_eq!(answer.status == 404, is_rename, "{method} {path} as {who:?}: {}", answer.json);
        }
        let list = server.get("/api/public/chat-rooms/", &who).await;
        assert!(!list.json.to_string().contains(&room), "a list has the caller's own room only");
        for path in ["", "mark_as_read/", "send_message/", "close_room/"] {
            let path = format!("/api/admin/chat-rooms/{room}/{path}");
            for method in ["GET", "POST", "PATCH", "DELETE"] {
                let status = server.ask(method, &path, &who, Some(json!({"content": "x"}))).await.status;
                assert!([401, 403, 405].contains(&status), "{method} {path}: {status}");
            }
        }
    }
    let path = format!("/ws/chat/{room}/");
    assert_eq!(server.try_socket(&path, Some(&secret)).await.unwrap().next().await["type"], "room_info");
    assert_eq!(server.socket(&format!("{path}?token={account}")).await.next().await["type"], "room_info");
    let unnamed = server.get(&format!("/api/public/chat-rooms/{room}/"), &owner).await.json;
    assert_eq!(unnamed["customer_name"], "Ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_rooms_id_alone_a_client_can_write_but_not_rename_even_if_it_is_closed() {
    let server = TestServer::start().await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let agent = Who::Bearer(server.token(&admin));
    let (room, owner) = server.visit("Ann").await;
    for (method, path, body) in attempts(&room) {
        let is_rename = ["PUT", "PATCH"].contains(&method);
        let status = server.ask(method, &path, &Who::Nobody, body).await.status;
        assert_eq!(status == 404, is_rename, "{method} {path}: {status}");
    }
    assert_eq!(server.get("/api/public/chat-rooms/", &Who::Nobody).await.json["count"], 0);
    let path = format!("/ws/chat/{room}/");
    let mut by_id = server.socket(&path).await;
    let Who::Session(secret) = &owner else { panic!("a session") };
    let mut by_cookie = server.try_socket(&path, Some(secret)).await.unwrap();
    assert_eq!(by_cookie.next().await["type"], "room_info");
    let closed = server.ask("PATCH", &format!("/api/admin/chat-rooms/{room}/close_room/"), &agent, None).await;
    assert_eq!((closed.status, &closed.json["room"]["status"]), (200, &json!("closed")));
    let get = format!("/api/public/chat-rooms/{room}/");
    assert_eq!(server.get(&get, &Who::Nobody).await.json["status"], "closed");
    assert_eq!(server.get(&get, &owner).await.status, 200, "the customer can still read the messages");
    by_cookie.send(json!({"type": "chat_message", "content": "still there?"})).await;
    for socket in [&mut by_cookie, &mut by_id] {
        assert_eq!(socket.next_of("chat_message").await["message"]["content"], "still there?");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_shown_only_to_people_who_may_see_its_room() {
    let server = TestServer::start().await;
    let (room, owner) = server.visit("Ann").await;
    let (other, stranger) = server.visit("Bob").await;
    let path = format!("/api/public/chat-rooms/{room}/send_message/");
    let said = server.post(&path, &owner, json!({"content": "hi"})).await.json;
    let get = async |query: &str, who: &Who| {
        server.get(&format!("/api/public/chat-messages/{}/{query}", said["id"]), who).await
    };
    let query = format!("?room_id={room}");
    let shown = get(&query, &owner).await;
    assert_eq!((shown.status, &shown.json["content"], &shown.json["id"]), (200, &json!("hi"), &said["id"]));
    assert_eq!(get(&query, &Who::Nobody).await.status, 200, "the room's id is enough, as for the list");
    assert_eq!(get(&query, &stranger).await.status, 200, "also with a session of another room");
    for (query, who) in [("", &owner), (&format!("?room_id={other}"), &stranger)] {
        assert_eq!(get(query, who).await.status, 404, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_open_public_rooms_everybody_can_do_what_the_original_allowed() {
    let server = TestServer::start_with(&["--open-public-rooms"]).await;
    let (room, _) = server.visit("Ann").await;
    let (_, visitor) = server.visit("Bob").await;
    assert_eq!(
        server.get("/api/public/chat-rooms/", &visitor).await.json["count"],
        1,
        "a page takes the room that it gets as its own"
    );
    for (method, path, body) in attempts(&room) {
        let status = server.ask(method, &path, &visitor, body).await.status;
        assert!([200, 201].contains(&status), "{method} {path}: {status}");
    }
    let admin = server.get("/api/admin/chat-rooms/", &visitor).await;
    assert_eq!(admin.status, 401, "agents' routes are still for agents only");
    let rooms = server.get("/api/public/chat-rooms/", &Who::Nobody).await.json["results"].take();
    let listed = rooms.as_array().unwrap().iter().find(|listed| listed["id"] == room).unwrap();
    let shown = server.get(&format!("/api/public/chat-rooms/{room}/"), &Who::Nobody).await.json;
    assert!(!shown["messages"].as_array().unwrap().is_empty());
    assert_eq!(listed["messages"], shown["messages"], "the list of all rooms has all messages");
    let mut by_id = server.socket(&format!("/ws/chat/{room}/")).await;
    assert_eq!(by_id.next().await["type"], "room_info");
    let ada = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let close = format!("/api/admin/chat-rooms/{room}/close_room/");
    let closed = server.ask("PATCH", &close, &Who::Bearer(server.token(&ada)), None).await;
    assert_eq!(closed.status, 200);
    by_id.send(json!({"type": "chat_message", "content": "still open"})).await;
    assert_eq!(by_id.next_of("chat_message").await["message"]["content"], "still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_supplied_session_is_rejected() {
    let server = TestServer::start().await;
    let thought_up = Who::Session("thought-up".into());
    let made = server.post("/api/public/chat-rooms/", &thought_up, json!({})).await;
    let Some(Who::Session(given)) = made.session() else { panic!("a session") };
    assert_ne!(given, "thought-up");
    assert_eq!(server.get("/api/public/chat-rooms/", &thought_up).await.json["count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitors_room_moves_to_their_account_at_log_in() {
    let server = TestServer::start().await;
    let ann = server.account("Ann Lee", "ann@example.com", Role::Customer).await;
    let (room, session) = server.visit("Ann").await;
    server.post(&format!("/api/public/chat-rooms/{room}/send_message/"), &session, json!({"content": "before"})).await;
    let body = json!({"username": "ann", "password": "secret-1"});
    let in_ = server.post("/api/auth/login/", &session, body.clone()).await;
    assert_eq!(in_.status, 200);
    assert!(in_.cookie.is_some_and(|cookie| cookie.contains("Max-Age=0")));
    let account = Who::Bearer(server.token(&ann));
    let mine = server.get("/api/public/chat-rooms/", &account).await.json;
    assert_eq!((&mine["results"][0]["id"], &mine["results"][0]["user"]), (&json!(room), &json!(ann.number)));
    assert_eq!(mine["results"][0]["messages"][0]["content"], "before");
    assert_eq!(server.get("/api/public/chat-rooms/", &session).await.json["count"], 0, "the session is over");
    // A second visitor's room is not moved but closed, because the account has a room.
    let (second, session) = server.visit("Ann").await;
    server.post("/api/auth/login/", &session, body).await;
    assert_eq!(server.get("/api/public/chat-rooms/", &account).await.json["results"][0]["id"], json!(room));
    assert_eq!(server.get(&format!("/api/public/chat-rooms/{second}/"), &account).await.json["status"], "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_a_dialect_does_not_define_never_widen_rights() {
    use jsonwebtoken::{EncodingKey, Header, encode};
    let server = TestServer::start().await;
    let ann = server.account("Ann Lee", "ann@example.com", Role::Customer).await;
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let exp = 4_000_000_000_i64;
    for claims in [
        json!({"id": ann.id.to_string(), "role": "admin", "is_staff": true, "exp": exp}),
        json!({"token_type": "access", "user_id": ann.number.to_string(), "is_staff": true, "is_superuser": true, "exp": exp}),
        json!({"token_type": "access", "user_id": ann.number, "user_type": "admin", "role": "admin", "exp": exp}),
    ] {
        let token = encode(&Header::default(), &claims, &key).unwrap();
        let who = Who::Bearer(token.clone());
        assert_eq!(server.get("/api/auth/me/", &who).await.json["is_staff"], false, "{claims}");
        assert_eq!(server.get("/api/admin/chat-rooms/", &who).await.status, 403, "{claims}");
        assert_eq!(server.socket(&format!("/ws/admin/chat/?token={token}")).await.end().await, 4403, "{claims}");
        assert_eq!(server.get("/api/chat/rooms/user/1/", &who).await.status, 403, "{claims}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_asks_twenty_times_at_once_gets_one_room() {
    let server = TestServer::start().await;
    let (room, session) = server.visit("Ann").await;
    let asks = (0..20).map(async |_| server.post("/api/public/chat-rooms/", &session, json!({})).await);
    for answer in futures_util::future::join_all(asks).await {
        assert_eq!((answer.status, &answer.json["id"]), (200, &json!(room)));
        assert_eq!(answer.cookie, None, "the session stays valid");
    }
    // An account without a room also gets one room, however many first requests are concurrent.
    let ann = server.account("Ann Lee", "ann@example.com", Role::Customer).await;
    let who = Who::Bearer(server.token(&ann));
    let asks = (0..20).map(async |_| server.post("/api/public/chat-rooms/", &who, json!({})).await.json["id"].clone());
    let rooms = futures_util::future::join_all(asks).await;
    assert!(rooms[0].is_string() && rooms.iter().all(|room| *room == rooms[0]), "{rooms:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_conversation_reopens_when_the_visitor_writes_again() {
    let server = TestServer::start().await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let agent = Who::Bearer(server.token(&admin));
    let (room, session) = server.visit("Ann").await;
    let send = format!("/api/public/chat-rooms/{room}/send_message/");
    server.post(&send, &session, json!({"content": "before"})).await;
    let of_agent = format!("/api/admin/chat-rooms/{room}/");
    server.ask("PATCH", &format!("{of_agent}close_room/"), &agent, None).await;
    let again = server.post("/api/public/chat-rooms/", &session, json!({})).await;
    assert_eq!((again.status, &again.json["id"], &again.json["status"]), (200, &json!(room), &json!("closed")));
    assert_eq!(server.post(&send, &session, json!({"content": "after"})).await.status, 201);
    let seen = server.get(&of_agent, &agent).await.json;
    assert_eq!(seen["status"], "waiting");
    let texts: Vec<_> = seen["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
    assert_eq!(texts, ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitors_session_is_not_accepted_by_the_portal() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let who = Who::Bearer(server.token(&uma));
    let number = server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].clone();
    let (_, visitor) = server.visit("Mallory").await;
    let Who::Session(secret) = &visitor else { panic!("a session") };
    for path in ["rooms/", "rooms/my_room/", "messages/", "notifications/"] {
        assert_eq!(server.get(&format!("/api/chat/{path}"), &visitor).await.status, 401, "{path}");
    }
    let message = json!({"room_id": number, "message": "x"});
    assert_eq!(server.post("/api/chat/messages/", &visitor, message).await.status, 401);
    // Numbers can be guessed, so a number gives no access.
    for session in [None, Some(secret.as_str())] {
        assert_eq!(server.try_socket(&format!("/ws/chat/{number}/"), session).await.err(), Some(403));
    }
}
