//! Replays the storefront's recording. Every deliberate difference is named where it occurs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use deskline::domain::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, Socket, TestServer, Who};
use crate::recording::{Recording, assert_covers};

static RECORDED: Recording = Recording::new(include_str!("../fixtures/storefront.txt"));

fn assert_as_recorded(answer: &Answer, label: &str, except: &[&str]) {
    RECORDED.assert_same(answer, label, except);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recording_is_replayed_to_its_last_block() {
    log_ins_answer_as_recorded().await;
    rooms_and_messages_are_as_recorded().await;
    handshakes_are_as_recorded().await;
    sockets_answer_as_recorded().await;
    RECORDED.assert_complete();
}

async fn log_ins_answer_as_recorded() {
    let server = start().await;
    server.account("Ada Min", "admin@example.com", Role::Admin).await;
    server.account("Cu St", "cust@example.com", Role::Customer).await;
    let log_in = async |path: &str, username: &str, password: &str| {
        server.post(path, &Who::Nobody, json!({"username": username, "password": password})).await
    };
    assert_as_recorded(&log_in("/api/auth/login/", "admin", "wrong").await, "login-bad", &[]);
    assert_as_recorded(&server.post("/api/auth/login/", &Who::Nobody, json!({})).await, "login-empty", &[]);
    let admin = log_in("/api/auth/login/", "admin", "secret-1").await;
    assert_eq!(admin.status, 200);
    assert_eq!(RECORDED.words("login keys"), ["refresh", "access", "user"]);
    assert_covers(&admin.json["user"], &RECORDED.body("me"), &[]);
    let claims = admin.json["access"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    assert_covers(&serde_json::from_slice(&claims).unwrap(), &RECORDED.line("jwt payload"), &[]);
    let refreshed = server.post("/api/auth/refresh/", &Who::Nobody, json!({"refresh": admin.json["refresh"]})).await;
    for key in RECORDED.words("refresh 200") {
        assert!(refreshed.json[&key].is_string(), "{key}");
    }
    let bearer = |answer: &Answer| Who::Bearer(answer.json["access"].as_str().unwrap().to_owned());
    assert_as_recorded(&server.get("/api/auth/me/", &bearer(&admin)).await, "me", &[]);
    assert_as_recorded(&server.get("/api/auth/me/", &Who::Nobody).await, "me-anon", &[]);
    assert_as_recorded(&server.get("/api/auth/me/", &Who::Bearer("bad".into())).await, "me-badtok", &[]);
    let customer = log_in("/api/auth/login/", "cust@example.com", "secret-1").await;
    assert!(RECORDED.says("cust login user", "'is_staff': False, 'is_superuser': False, 'user_type': 'User'}"));
    let expected = json!({"is_staff": false, "is_superuser": false, "user_type": "User"});
    assert_covers(&customer.json["user"], &expected, &[]);
    // The paths of the other generation.
    assert_eq!(log_in("/api/api/auth/login/", "admin", "secret-1").await.status, 200);
    let wrapped = log_in("/api/login", "cust@example.com", "secret-1").await;
    assert_eq!((wrapped.status, &wrapped.json["success"]), (200, &json!(true)));
    assert_eq!(wrapped.json["data"]["user"], wrapped.json["user"]);
    for (path, label) in [("/api/login", "acc")] {
        assert_as_recorded(&server.get(path, &Who::Nobody).await, label, &[]);
    }
    assert_eq!(server.get("/api/me", &bearer(&wrapped)).await.json["user"]["email"], "cust@example.com");
    assert_eq!(server.get("/api/me", &Who::Nobody).await.status, 401);
    assert_eq!(server.get("/api/register", &Who::Nobody).await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_can_be_reused() {
    let server = start().await;
    server.account("Cu St", "cust@example.com", Role::Customer).await;
    let body = json!({"username": "cust", "password": "secret-1"});
    let first = server.post("/api/auth/login/", &Who::Nobody, body).await.json;
    let refresh =
        async |token: &Value| server.post("/api/auth/refresh/", &Who::Nobody, json!({"refresh": token})).await;
    let second = refresh(&first["refresh"]).await;
    assert_eq!(second.status, 200);
    assert_as_recorded(&refresh(&json!("bad")).await, "refresh-bad", &[]);
    assert_eq!(refresh(&first["refresh"]).await.status, 200, "pages never store the next one");
    assert_eq!(refresh(&first["access"]).await.status, 401, "an access token is not a refresh token");
    assert_eq!(refresh(&second.json["refresh"]).await.status, 200);
    let as_bearer = Who::Bearer(second.json["refresh"].as_str().unwrap().to_owned());
    assert_eq!(server.get("/api/auth/me/", &as_bearer).await.status, 401, "and a refresh token is not an access token");
}

/// A server whose desk has the name that the recorded one showed to customers for its agent.
async fn start() -> TestServer {
    TestServer::start_with(&["--desk-name", "Ada Min (admin@example.com)"]).await
}

async fn rooms_and_messages_are_as_recorded() {
    let server = start().await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let agent = Who::Bearer(server.token(&admin));
    let customer = server.account("Cu St", "cust@example.com", Role::Customer).await;
    let rooms = "/api/public/chat-rooms/";
    assert_as_recorded(&server.get("/api/admin/chat-rooms/", &Who::Nobody).await, "admin list anon", &[]);
    let cust = Who::Bearer(server.token(&customer));
    assert_as_recorded(&server.get("/api/admin/chat-rooms/", &cust).await, "admin list cust", &[]);
    assert_as_recorded(&server.get(rooms, &Who::Nobody).await, "pub list", &[]);
    let jo = json!({"customer_name": "Jo", "customer_email": "jo@example.com"});
    let made = server.post(rooms, &Who::Nobody, jo.clone()).await;
    assert_as_recorded(&made, "pub create", &[]);
    // Difference: the session is a secret, so `customer_session` is always empty.
    assert_eq!(made.json["customer_session"], "");
    let session = made.session().unwrap();
    let why = "a visitor has one room, so a second POST returns the same room with 200, as the later generation did";
    RECORDED.differs("pub create again same session", why);
    let again = server.post(rooms, &session, jo).await;
    assert_eq!((again.status, &again.json["id"]), (200, &made.json["id"]));
    let bad = server.post(rooms, &Who::Nobody, json!({"customer_email": "nonsense"})).await;
    assert_as_recorded(&bad, "pub create bad email", &[]);
    // Difference: a signed-in customer's room has the account's name and address, whatever the form says.
    // The token identifies them, so they get no session.
    let named = ["customer_name", "customer_email", "display_name", "cookie"];
    assert_as_recorded(&server.post(rooms, &cust, json!({"customer_name": "Cu"})).await, "pub create authed", &named);
    assert_as_recorded(&server.post(rooms, &Who::Nobody, json!({})).await, "pub create empty", &[]);
    let bad_token = Who::Bearer("bad".into());
    assert_as_recorded(&server.post(rooms, &bad_token, json!({})).await, "pub create badtok", &[]);

    let room = format!("{rooms}{}/", made.json["id"].as_str().unwrap());
    assert_as_recorded(&server.get(&room, &session).await, "pub get", &[]);
    let nowhere = format!("{rooms}00000000-0000-4000-8000-000000000000/");
    assert_as_recorded(&server.get(&nowhere, &session).await, "pub get 404", &[]);
    assert_as_recorded(&server.get(&format!("{rooms}abc/"), &session).await, "pub get nonuuid", &[]);
    let renamed = server.ask("PATCH", &room, &session, Some(json!({"customer_name": "Joe"}))).await;
    assert_as_recorded(&renamed, "pub patch", &[]);
    assert_as_recorded(&server.ask("DELETE", &room, &session, None).await, "pub delete", &[]);
    let blank = server.post(&format!("{room}send_message/"), &session, json!({"content": " "})).await;
    assert_as_recorded(&blank, "pub send empty", &[]);
    assert_eq!(server.post(&format!("{room}send_message"), &session, json!({"content": "x"})).await.status, 404);
    RECORDED.differs("pub noslash", "a path without its last slash is a plain 404 instead of a 500");
    let said = server.post(&format!("{room}send_message/"), &session, json!({"content": " hello rest "})).await;
    assert_as_recorded(&said, "pub send", &[]);
    assert_covers(&said.json["data"], &RECORDED.body("pub send"), &[]);

    let admin_room = room.replace("public", "admin");
    let sent = server.post(&format!("{admin_room}send_message/"), &agent, json!({"content": "hello from admin"})).await;
    assert_as_recorded(&sent, "admin send", &[]);
    assert_as_recorded(&server.get(&nowhere.replace("public", "admin"), &agent).await, "admin 404", &[]);
    let marked = server.post(&format!("{admin_room}mark_as_read/"), &agent, json!({})).await;
    assert_as_recorded(&marked, "admin mark POST", &[]);
    for label in [
        "admin mark PATCH",
        "admin get_messages",
        "admin close_room",
        "user-chat",
        "user-chat anon",
        "user-chat create",
    ] {
        RECORDED.differs(label, "a route of the later generation, which the recorded server did not have");
    }
    assert_eq!(server.ask("PATCH", &format!("{admin_room}mark_as_read/"), &agent, None).await.status, 200);
    let log = server.get(&format!("{admin_room}get_messages/"), &agent).await;
    assert_eq!(log.json.as_array().unwrap().len(), 2);
    let page = server.get("/api/public/chat-messages/", &session).await;
    assert_as_recorded(&page, "pub chat-messages none", &[]);
    assert_eq!(server.get("/api/public/user-chat/", &Who::Nobody).await.status, 401);
    assert_eq!(server.get("/api/public/user-chat/", &cust).await.json["count"], 1);
    let list = server.get("/api/admin/chat-rooms/", &agent).await;
    assert_eq!((list.status, &list.json["count"]), (200, &json!(3)));
    assert_eq!(list.json["results"][0]["last_message"]["content"], "hello from admin");
    // Difference: the messages are kept for the customer.
    assert_as_recorded(&server.ask("DELETE", &admin_room, &agent, None).await, "admin delete", &[]);
    assert_eq!(server.get(&admin_room, &agent).await.status, 404);
    assert_eq!(server.get(&room, &session).await.json["status"], "closed");
}

async fn handshakes_are_as_recorded() {
    let server = start().await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let customer = server.account("Cu St", "cust@example.com", Role::Customer).await;
    let pair = server.tokens.issue_pair(&admin, "admin", deskline::domain::Timestamp::from_millis(i64::MAX / 2));
    let why =
        "handshakes that were refused with 403 are accepted and the socket is closed, so that a browser sees the code";
    let (room, _) = server.visit("Joe").await;
    for (label, path, code) in [
        ("ws admin notoken", "/ws/admin/chat/".to_owned(), 4401),
        ("ws admin bad", "/ws/admin/chat/?token=bad".to_owned(), 4401),
        ("ws admin refresh", format!("/ws/admin/chat/?token={}", pair.refresh), 4401),
        ("ws admin cust", format!("/ws/admin/chat/?token={}", server.token(&customer)), 4403),
        ("ws cust 404", "/ws/chat/00000000-0000-4000-8000-000000000000/".to_owned(), 4404),
        ("ws cust nonuuid", "/ws/chat/abc/".to_owned(), 1011),
    ] {
        RECORDED.differs(label, why);
        assert_eq!(server.socket(&path).await.end().await, code, "{label}");
    }
    let why = "an unknown path is a plain 404 instead of a 500";
    for (label, path) in
        [("ws unknown path", "/ws/nowhere/".to_owned()), ("ws cust noslash", format!("/ws/chat/{room}"))]
    {
        RECORDED.differs(label, why);
        assert_eq!(server.try_socket(&path, None).await.err(), Some(404), "{label}");
    }
    let token = server.token(&admin);
    for (label, query) in [
        ("ws admin", format!("token={token}")),
        ("ws admin access=", format!("access={token}")),
        ("ws admin bearer", format!("token=Bearer%20{token}")),
    ] {
        let list = server.socket(&format!("/ws/admin/chat/?{query}")).await.next().await;
        let recorded = RECORDED.greeting(label);
        assert_eq!(list["type"], recorded["type"]);
        assert_covers(&list["rooms"][0], &recorded["rooms"][0], &["customer_email"]);
    }
}

#[expect(clippy::too_many_lines, reason = "one story, in the order in which it was recorded")]
async fn sockets_answer_as_recorded() {
    let server = start().await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let customer = server.account("Cu", "cust@example.com", Role::Customer).await;
    let (room, session) = server.visit("Joe").await;
    let cust = Who::Bearer(server.token(&customer));
    let own = server.post("/api/public/chat-rooms/", &cust, json!({})).await.json["id"].as_str().unwrap().to_owned();
    let mut agent = server.socket(&format!("/ws/admin/chat/?token={}", server.token(&admin))).await;
    agent.next().await;
    let path = format!("/ws/chat/{room}/");
    let (mut one, mut two) = (server.socket(&path).await, server.socket(&path).await);
    for (socket, label) in [(&mut one, "ws cust"), (&mut two, "ws cust second")] {
        assert_covers(&socket.next().await, &RECORDED.greeting(label), &["room.customer_email"]);
    }
    let mut owner = server.socket(&format!("/ws/chat/{own}/?token={}", server.token(&customer))).await;
    // Difference: a signed-in customer's room has the account's address.
    assert_covers(&owner.next().await, &RECORDED.greeting("ws cust authed owner"), &["room.customer_email"]);
    RECORDED.assert_silent("settle");
    // Difference: a message by socket has the customer's name, not "Customer".
    one.send(json!({"type": "chat_message", "content": "hi via ws"})).await;
    for (socket, who) in [(&mut one, "cust"), (&mut two, "cust2")] {
        let recorded = &RECORDED.frames("cust ws chat_message", who)[0];
        assert_covers(&socket.next().await, recorded, &["message.sender_name"]);
    }
    // Difference: it reaches agents, too.
    let event = agent.next().await;
    assert_eq!((&event["type"], &event["room_id"]), (&json!("new_customer_message"), &json!(room)));
    let list = agent.next().await;
    assert_eq!((&list["rooms"][0]["unread_count"], &list["rooms"][0]["status"]), (&json!(1), &json!("waiting")));
    for (label, junk) in [
        ("cust ws bad json", "junk"),
        ("cust ws array", "[]"),
        ("cust ws blank", r#"{"type":"chat_message","content":"  "}"#),
        ("cust ws int content", r#"{"type":"chat_message","content":5}"#),
        ("cust ws unknown", r#"{"type":"whatever"}"#),
    ] {
        RECORDED.assert_silent(label);
        one.send_text(junk).await;
    }
    RECORDED.differs("cust ping", "a ping is answered, as on the later generation's server");
    one.send(json!({"type": "ping"})).await;
    assert_eq!(one.next().await, json!({"type": "pong"}), "and nothing else was answered");
    owner.send(json!({"type": "chat_message", "content": "hi from owner"})).await;
    let recorded = &RECORDED.frames("owner ws chat_message", "custauth")[0];
    assert_covers(&owner.next().await, recorded, &["message.sender_name"]);
    assert_eq!(agent.next_of("room_list").await["rooms"][0]["id"], json!(own));

    let rest = format!("/api/public/chat-rooms/{room}/send_message/");
    server.post(&rest, &session, json!({"content": "hello rest"})).await;
    for (socket, who) in [(&mut one, "cust"), (&mut two, "cust2"), (&mut agent, "admin")] {
        let recorded = &RECORDED.frames("after pub REST send", who)[0];
        assert_covers(&socket.next().await, recorded, &[]);
    }
    assert_eq!(agent.next().await["type"], "room_list");
    // A client that has only a room's id writes for its customer.
    let by_id = format!("/api/public/chat-rooms/{own}/send_message/");
    let stranger = server.post(&by_id, &Who::Nobody, json!({"content": "stranger"})).await;
    assert_as_recorded(&stranger, "cust2 send to other room", &[]);
    for (socket, who) in [(&mut owner, "custauth"), (&mut agent, "admin")] {
        assert_covers(&socket.next().await, &RECORDED.frames("stranger", who)[0], &[]);
    }
    assert_eq!(agent.next().await["type"], "room_list");
    let log = server.get(&format!("/api/public/chat-rooms/{room}/get_messages/"), &session).await;
    assert_as_recorded(&log, "pub get_messages", &["sender_name"]);
    let page = server.get(&format!("/api/public/chat-messages/?room_id={room}"), &session).await;
    assert_as_recorded(&page, "pub chat-messages", &["results.sender_name"]);
    let by_agent = Who::Bearer(server.token(&admin));
    let list = server.get("/api/admin/chat-rooms/", &by_agent).await;
    // Difference: there are fewer rooms, since nobody has two.
    assert_as_recorded(&list, "admin list", &["count", "results.customer_email"]);
    let full = server.get(&format!("/api/admin/chat-rooms/{room}/"), &by_agent).await;
    assert_as_recorded(&full, "admin get", &["customer_email", "messages.sender_name"]);

    let rest = format!("/api/admin/chat-rooms/{room}/");
    server.post(&format!("{rest}send_message/"), &by_agent, json!({"content": "hello from admin"})).await;
    for (socket, who) in [(&mut one, "cust"), (&mut two, "cust2"), (&mut agent, "admin")] {
        assert_covers(&socket.next().await, &RECORDED.frames("after admin REST send", who)[0], &[]);
    }
    agent.send(json!({"type": "admin_message", "room_id": room, "content": "admin ws"})).await;
    for (socket, who) in [(&mut one, "cust"), (&mut two, "cust2"), (&mut agent, "admin")] {
        assert_covers(&socket.next().await, &RECORDED.frames("admin ws admin_message", who)[0], &[]);
    }
    for (label, junk) in [
        (
            "admin ws missing room",
            json!({"type": "admin_message", "room_id": "00000000-0000-4000-8000-000000000000", "content": "x"}),
        ),
        ("admin ws junk", json!({"type": "admin_message", "room_id": "abc", "content": "x"})),
        ("admin ws junk", json!([])),
        ("admin auth frame", json!({"type": "auth"})),
    ] {
        RECORDED.assert_silent(label);
        agent.send(junk).await;
    }
    server.post(&format!("{rest}mark_as_read/"), &by_agent, json!({})).await;
    RECORDED.assert_silent("after mark");
    server.get("/api/public/user-chat/", &cust).await;
    RECORDED.assert_silent("after user-chat");
    RECORDED.differs("admin ping", "a ping is answered, as on the later generation's server");
    for socket in [&mut one, &mut agent] {
        socket.send(json!({"type": "ping"})).await;
        assert_eq!(socket.next().await, json!({"type": "pong"}), "and nothing else was answered");
    }
    assert!(RECORDED.says("rawclose no-status", "[rawclose no-status] server replied 1000 (OK)"));
    assert_eq!(bare_close(one).await, 1000);
    RECORDED.differs("after delete", "the room disappears from the list, which agents get");
    server.ask("DELETE", &rest, &by_agent, None).await;
    two.send(json!({"type": "ping"})).await;
    assert_eq!(two.next_of("pong").await, json!({"type": "pong"}), "its sockets stay open");
    assert_eq!(agent.next().await["type"], "room_list");
}

/// Closes without a code, as a page does. Returns the server's close code.
async fn bare_close(mut socket: Socket) -> u16 {
    socket.0.close(None).await.unwrap();
    socket.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_is_sent_before_the_senders_own_copy() {
    let server = start().await;
    let (room, session) = server.visit("Joe").await;
    let Who::Session(secret) = session else { panic!() };
    let mut socket = server.socket(&format!("/ws/chat/{room}/")).await;
    socket.next().await;
    let mut wire = TcpStream::connect(server.address()).unwrap();
    for n in 0..20 {
        let body = json!({"content": format!("message {n}")}).to_string();
        let head = format!(
            "POST /api/public/chat-rooms/{room}/send_message/ HTTP/1.1\r\nhost: {}\r\ncookie: sessionid={secret}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            server.address(),
            body.len()
        );
        wire.write_all(format!("{head}{body}").as_bytes()).unwrap();
        socket.next_of("chat_message").await;
        // What counts is what has arrived by now, not which task is woken first.
        wire.set_nonblocking(true).unwrap();
        let mut answer = [0; 4096];
        let arrived = wire.read(&mut answer);
        wire.set_nonblocking(false).unwrap();
        let arrived =
            String::from_utf8_lossy(&answer[..arrived.unwrap_or_else(|_| panic!("message {n}"))]).into_owned();
        assert!(arrived.starts_with("HTTP/1.1 201"), "message {n}: {arrived}");
    }
}
