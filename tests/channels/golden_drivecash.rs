//! Replays the portal's recording. Every deliberate difference is named where it occurs.

use base64::Engine as _;
use deskline::domain::Role;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{Answer, Socket, TestServer, Who};
use crate::recording::{Recording, assert_covers};

static RECORDED: Recording = Recording::new(include_str!("../fixtures/drivecash.txt"));

fn assert_as_recorded(answer: &Answer, label: &str, except: &[&str]) {
    RECORDED.assert_same(answer, label, except);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recording_is_replayed_to_its_last_block() {
    log_ins_answer_as_recorded().await;
    sockets_and_routes_of_the_portal_answer_as_recorded().await;
    RECORDED.assert_complete();
}

async fn log_ins_answer_as_recorded() {
    let server = TestServer::start().await;
    server.account("Uma One", "u1@example.com", Role::Customer).await;
    server.account("Ad Min", "adm@example.com", Role::Admin).await;
    let log_in = async |path: &str, email: &str, password: &str| {
        server.post(path, &Who::Nobody, json!({"email": email, "password": password})).await
    };
    let user = log_in("/api/accounts/login/", "u1@example.com", "secret-1").await;
    assert_as_recorded(&user, "login user", &[]);
    let claims = user.json["tokens"]["access"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    assert_covers(&serde_json::from_slice(&claims).unwrap(), &RECORDED.line("payload"), &[]);
    assert_as_recorded(&log_in("/api/accounts/login/", "u1@example.com", "no").await, "login bad", &[]);
    let admin = log_in("/api/accounts/login/", "adm@example.com", "secret-1").await;
    assert_as_recorded(&admin, "login admin via user route", &[]);
    let pair = log_in("/api/token/", "u1@example.com", "secret-1").await;
    assert_as_recorded(&pair, "token user", &[]);
    let by_name = server.post("/api/token/", &Who::Nobody, json!({"username": "u1", "password": "secret-1"})).await;
    assert_as_recorded(&by_name, "token username key", &[]);
    let refreshed = server.post("/api/token/refresh/", &Who::Nobody, json!({"refresh": pair.json["refresh"]})).await;
    assert_as_recorded(&refreshed, "token refresh", &[]);
    // Difference: agents cannot bypass the one-time code this way.
    assert_eq!(log_in("/api/token/", "adm@example.com", "secret-1").await.status, 401);
    let first = json!({"username": "adm@example.com", "password": "secret-1"});
    let first = server.post("/api/accounts/admin/login/step1/", &Who::Nobody, first).await;
    assert_eq!(first.status, 200);
    let second = json!({"user_id": first.json["user_id"], "otp_code": "wrong"});
    assert_eq!(server.post("/api/accounts/admin/login/step2/", &Who::Nobody, second).await.status, 400);
}

#[expect(clippy::too_many_lines, reason = "one story, in the order in which it was recorded")]
async fn sockets_and_routes_of_the_portal_answer_as_recorded() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let admin = server.account("Ad Min", "adm@example.com", Role::Admin).await;
    let other = server.account("u2@example.com", "u2@example.com", Role::Customer).await;
    let who = |user| Who::Bearer(server.token(user));
    let (user, agent, stranger) = (who(&uma), who(&admin), who(&other));
    assert_as_recorded(&server.get("/api/chat/rooms/", &Who::Nobody).await, "rooms anon", &[]);
    assert_as_recorded(&server.get("/api/chat/rooms/my_room/", &user).await, "my_room", &[]);
    let mine = server.get("/api/chat/rooms/my_room/", &user).await;
    assert_as_recorded(&mine, "my_room again", &[]);
    assert_as_recorded(&server.get("/api/chat/rooms/my_room/", &agent).await, "my_room admin", &[]);
    server.get("/api/chat/rooms/my_room/", &stranger).await;
    assert_as_recorded(&server.get("/api/chat/rooms/", &agent).await, "rooms admin", &[]);
    assert_as_recorded(&server.get("/api/chat/rooms/", &user).await, "rooms user", &[]);
    let room_of = format!("/api/chat/rooms/user/{}/", uma.number);
    RECORDED.differs("rooms/user/<id>", "the route that always failed works");
    assert_covers(&server.get(&room_of, &agent).await.json, &RECORDED.body("my_room")["room"], &[]);
    assert_as_recorded(&server.get(&room_of, &user).await, "rooms/user/<id> as user", &[]);

    let room = mine.json["room"]["id"].as_u64().unwrap();
    let path = |token: &str| format!("/ws/chat/{room}/?token={token}");
    let token = |user| server.token(user);
    let refresh =
        server.tokens.issue_pair(&uma, "", deskline::domain::Clock::now(&deskline::domain::SystemClock)).refresh;
    for (label, refused) in [
        ("ws other user", path(&token(&other))),
        ("ws no token", format!("/ws/chat/{room}/")),
        ("ws token=null", path("null")),
        ("ws bad token", path("bad")),
        ("ws refresh token", path(&refresh)),
        ("ws missing room", format!("/ws/chat/999999/?token={}", token(&uma))),
        ("ws missing room", format!("/ws/chat/99999999999999999999999/?token={}", token(&uma))),
    ] {
        assert_eq!(server.try_socket(&refused, None).await.err(), Some(RECORDED.refusal(label)), "{refused}");
    }
    RECORDED
        .differs("ws nonnumeric", "a path without a number is the storefront's, whose sockets are accepted and closed");
    assert_eq!(server.socket(&format!("/ws/chat/abc/?token={}", token(&uma))).await.end().await, 1011);
    RECORDED.differs("settle", "refused clients are not announced");
    let mut admin_socket = server.socket(&path(&token(&admin))).await;
    let online = |number: u64| json!({"type": "user_status", "user_id": number, "status": "online"});
    assert_covers(&online(admin.number), &RECORDED.greeting("ws admin"), &[]);
    assert_covers(&online(uma.number), &RECORDED.greeting("ws user"), &[]);
    assert_eq!(admin_socket.next().await, online(admin.number));
    let mut user_socket = server.socket(&path(&token(&uma))).await;
    assert_eq!(user_socket.next().await, online(uma.number));
    assert_eq!(admin_socket.next().await, online(uma.number));
    // Difference: a new socket gets the presence of the others. Refused clients are not announced.
    assert_eq!(user_socket.next().await, online(admin.number));

    // Difference: the recorded server accepted every origin; this one accepts the configured ones.
    assert_covers(&online(uma.number), &RECORDED.greeting("ws bad origin"), &[]);
    let elsewhere = server.try_socket_from(&path(&token(&uma)), "http://evil.test").await;
    assert_eq!(elsewhere.err(), Some(403));

    let both = async |admin: &mut Socket, user: &mut Socket, label: &str| {
        for (socket, who) in [(admin, "admin"), (user, "user")] {
            assert_covers(&socket.next().await, &RECORDED.frames(label, who)[0], &[]);
        }
    };
    user_socket.send(json!({"type": "chat_message", "message": "hello"})).await;
    both(&mut admin_socket, &mut user_socket, "user chat_message").await;
    user_socket.send(json!({"message": "typeless"})).await;
    both(&mut admin_socket, &mut user_socket, "user typeless message").await;
    RECORDED.assert_silent("blank");
    user_socket.send(json!({"type": "chat_message", "message": "  "})).await;
    admin_socket.send(json!({"type": "chat_message", "message": "hi from admin"})).await;
    both(&mut admin_socket, &mut user_socket, "admin chat_message").await;
    user_socket.send(json!({"type": "typing", "is_typing": true})).await;
    assert_covers(&admin_socket.next().await, &RECORDED.frames("user typing", "admin")[0], &[]);
    user_socket.send(json!({"type": "typing", "is_typing": false})).await;
    assert_covers(&admin_socket.next().await, &RECORDED.frames("user typing false", "admin")[0], &[]);
    user_socket.send(json!({"type": "typing"})).await;
    assert_covers(&admin_socket.next().await, &RECORDED.frames("user typing missing", "admin")[0], &[]);

    let messages = server.get(&format!("/api/chat/messages/?room_id={room}"), &user).await;
    let first = messages.json[0]["id"].as_u64().unwrap();
    admin_socket.send(json!({"type": "read_receipt", "message_id": first})).await;
    both(&mut admin_socket, &mut user_socket, "admin read_receipt 1").await;
    for label in ["admin read_receipt 1 again", "user reads own message", "missing id"] {
        RECORDED.differs(label, "receipts are sent once, and only for the other side's messages of this room");
    }
    for label in ["no id", "unknown", "ping"] {
        RECORDED.assert_silent(label);
    }
    let receipt = |number| json!({"type": "read_receipt", "message_id": number});
    admin_socket.send(receipt(first)).await;
    user_socket.send(receipt(first)).await;
    user_socket.send(receipt(99_999)).await;
    user_socket.send(json!({"type": "read_receipt"})).await;
    user_socket.send_text("junk").await;
    assert_eq!(user_socket.next().await, RECORDED.frames("junk", "user")[0]);
    // Difference: JSON that is not an object is ignored instead of closing the socket with 1011.
    for junk in
        [json!([]), json!({"type": "chat_message", "message": 5}), json!({"type": "ping"}), json!({"type": "whatever"})]
    {
        user_socket.send(junk).await;
    }
    user_socket.hears_none_of(&["chat_message", "read_receipt", "typing"]).await;

    // Difference: the recorded server also counted an own message as read.
    let rooms = server.get("/api/chat/rooms/", &agent).await;
    assert_as_recorded(&rooms, "rooms admin after", &["admin_unread_count", "unread_count"]);
    let all = server.get(&format!("/api/chat/messages/room_messages/?room_id={room}"), &user).await;
    assert_as_recorded(&all, "room_messages", &[]);
    let list = server.get(&format!("/api/chat/messages/?room_id={room}"), &user).await;
    assert_as_recorded(&list, "messages list", &[]);
    let get =
        async |query: &str, who: &Who| server.get(&format!("/api/chat/messages/room_messages/{query}"), who).await;
    assert_as_recorded(&get(&format!("?room_id={room}"), &stranger).await, "room_messages other", &[]);
    assert_as_recorded(&get("", &user).await, "room_messages none", &[]);
    assert_as_recorded(&get("?room_id=9999", &user).await, "room_messages 404", &[]);
    let post = async |who: &Who, body: Value| server.post("/api/chat/messages/", who, body).await;
    // Difference: texts are trimmed, as everywhere on this server.
    let said = post(&user, json!({"room_id": room, "message": " rest hi "})).await;
    assert_as_recorded(&said, "POST msg json", &["message"]);
    RECORDED.differs("after REST post", "messages sent by requests are also published on the sockets");
    RECORDED.differs("after multipart", "messages sent by requests are also published on the sockets");
    assert_eq!(admin_socket.next_of("chat_message").await["message"], "rest hi");
    assert_eq!(user_socket.next_of("chat_message").await["message"], "rest hi");
    let upload = async |text: Option<&str>| {
        let form = Form::new().text("room_id", room.to_string());
        let form = form.part("attachment", Part::bytes(b"just text".to_vec()).file_name("a b.txt"));
        let form = match text {
            Some(text) => form.text("message", text.to_owned()),
            None => form,
        };
        server.upload(&user, form).await
    };
    // Difference: the link is signed.
    assert_as_recorded(&upload(Some("with file")).await, "POST msg multipart", &["attachment"]);
    RECORDED.differs("POST msg file only", "a file needs no text");
    assert_eq!(upload(None).await.status, 201);
    let reply = post(&agent, json!({"room_id": room, "message": "re", "reply_to": first})).await;
    assert_as_recorded(&reply, "POST reply", &[]);
    assert_as_recorded(
        &post(&agent, json!({"room_id": room, "message": "re", "reply_to": 99_999})).await,
        "POST reply bad",
        &[],
    );
    assert_as_recorded(&post(&user, json!({"room_id": room})).await, "POST missing", &[]);
    assert_as_recorded(&post(&stranger, json!({"room_id": room, "message": "x"})).await, "POST other room", &[]);
    assert_as_recorded(&post(&user, json!({"room_id": 9999, "message": "x"})).await, "POST 404", &[]);

    let notifications = server.get("/api/chat/notifications/", &user).await;
    // Difference: messages sent on a socket also count as notifications, so there are two.
    assert_covers(&notifications.json[1], &RECORDED.body("notifications")[0], &[]);
    let one = notifications.json[1]["id"].as_u64().unwrap();
    let marked = server.post(&format!("/api/chat/notifications/{one}/mark_read/"), &user, json!({})).await;
    assert_as_recorded(&marked, "notif mark", &[]);
    let marked = server.post("/api/chat/notifications/mark_all_read/", &user, json!({})).await;
    assert_as_recorded(&marked, "notif all", &[]);
    RECORDED.differs("after mark_as_read", "read marks made by requests are also published on the sockets");
    // Difference: the unread count is right.
    let mark = format!("/api/chat/rooms/{room}/mark_as_read/");
    assert_as_recorded(&server.post(&mark, &agent, json!({})).await, "mark_as_read admin", &["count"]);
    assert_as_recorded(&server.post(&mark, &user, json!({})).await, "mark_as_read user", &["count"]);
    assert_as_recorded(&server.post(&mark, &stranger, json!({})).await, "mark_as_read other", &[]);
    let marked = server.post(&format!("/api/chat/messages/{first}/mark_read/"), &agent, json!({})).await;
    assert_as_recorded(&marked, "message mark_read", &[]);
    let detail = server.get(&format!("/api/chat/messages/{first}/"), &user).await;
    assert_as_recorded(&detail, "msg detail", &[]);
    assert_as_recorded(&server.get("/api/notifications/", &user).await, "notifs2", &[]);
    assert_as_recorded(&server.post("/api/chat/rooms/", &user, json!({})).await, "rooms create", &[]);

    for socket in [&mut admin_socket, &mut user_socket] {
        while socket.hears().await.is_some() {}
    }
    let message = |number: u64| format!("/api/chat/messages/{number}/");
    let edited = server.ask("PATCH", &message(first), &user, Some(json!({"message": "edited"}))).await;
    assert_as_recorded(&edited, "msg patch", &[]);
    // Difference: only own messages; on the recorded server, anybody in the room could edit and delete all.
    let edit_theirs = server.ask("PATCH", &message(first), &agent, Some(json!({"message": "no"}))).await;
    assert_eq!(edit_theirs.status, 403, "{}", edit_theirs.json);
    let second = all.json["messages"][1]["id"].as_u64().unwrap();
    assert_as_recorded(&server.ask("DELETE", &message(second), &user, None).await, "msg delete", &[]);
    RECORDED.assert_silent("after edit/delete");
    for socket in [&mut admin_socket, &mut user_socket] {
        assert_eq!(socket.hears().await, None);
    }
    RECORDED.differs("second tab closed", "two tabs are one person, who goes offline with the last one");
    let mut tab = server.socket(&path(&token(&uma))).await;
    assert_covers(&tab.next().await, &RECORDED.greeting("ws user tab 2"), &[]);
    for (socket, who) in [(&mut admin_socket, "admin"), (&mut user_socket, "user")] {
        assert_covers(&socket.next_of("user_status").await, &RECORDED.frames("second tab", who)[0], &[]);
    }
    drop(tab);
    admin_socket.hears_none_of(&["user_status"]).await;
    drop(user_socket);
    let left = admin_socket.next_of("user_status").await;
    assert_covers(&left, &RECORDED.frames("user left", "admin")[0], &[]);
    assert_eq!(left["user_id"], uma.number);
}
