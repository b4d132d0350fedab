//! Replays the portal's recording. Every deliberate difference is named where it shows.

use deskline::domain::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer, Who};
use crate::recording::{assert_covers, frames, request};

const RECORDED: &str = include_str!("../fixtures/drivecash.txt");

fn assert_as_recorded(answer: &Answer, label: &str, except: &[&str]) {
    let (status, body) = request(RECORDED, label);
    assert_eq!(answer.status, status, "{label}: {}", answer.json);
    assert_covers(&answer.json, &body, except);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_ins_answer_as_recorded() {
    let server = TestServer::start().await;
    server.account("Uma One", "u1@example.com", Role::Customer).await;
    server.account("Ad Min", "adm@example.com", Role::Admin).await;
    let log_in = async |path: &str, email: &str, password: &str| {
        server.post(path, &Who::Nobody, json!({"email": email, "password": password})).await
    };
    let user = log_in("/api/accounts/login/", "u1@example.com", "secret-1").await;
    assert_as_recorded(&user, "login user", &[]);
    assert_as_recorded(&log_in("/api/accounts/login/", "u1@example.com", "no").await, "login bad", &[]);
    let admin = log_in("/api/accounts/login/", "adm@example.com", "secret-1").await;
    assert_as_recorded(&admin, "login admin via user route", &[]);
    let pair = log_in("/api/token/", "u1@example.com", "secret-1").await;
    assert_as_recorded(&pair, "token user", &[]);
    let by_name = server.post("/api/token/", &Who::Nobody, json!({"username": "u1", "password": "secret-1"})).await;
    assert_as_recorded(&by_name, "token username key", &[]);
    let refreshed = server.post("/api/token/refresh/", &Who::Nobody, json!({"refresh": pair.json["refresh"]})).await;
    assert_as_recorded(&refreshed, "token refresh", &[]);
    // Difference: agents do not get past the one-time code this way.
    assert_eq!(log_in("/api/token/", "adm@example.com", "secret-1").await.status, 401);
    let first = json!({"username": "adm@example.com", "password": "secret-1"});
    let first = server.post("/api/accounts/admin/login/step1/", &Who::Nobody, first).await;
    assert_eq!(first.status, 200);
    let second = json!({"user_id": first.json["user_id"], "otp_code": "wrong"});
    assert_eq!(server.post("/api/accounts/admin/login/step2/", &Who::Nobody, second).await.status, 400);
}

#[expect(clippy::too_many_lines, reason = "one story, told in the order in which it was recorded")]
#[tokio::test(flavor = "multi_thread")]
async fn the_portal_speaks_as_recorded() {
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
    assert_eq!(server.get("/api/chat/rooms/", &agent).await.json.as_array().unwrap().len(), 2);
    assert_as_recorded(&server.get("/api/chat/rooms/", &user).await, "rooms user", &[]);
    let room_of = format!("/api/chat/rooms/user/{}/", uma.number);
    // Difference: the route that always failed works.
    assert_covers(&server.get(&room_of, &agent).await.json, &request(RECORDED, "my_room").1["room"], &[]);
    assert_as_recorded(&server.get(&room_of, &user).await, "rooms/user/<id> as user", &[]);

    let room = mine.json["room"]["id"].as_u64().unwrap();
    let path = |token: &str| format!("/ws/chat/{room}/?token={token}");
    let token = |user| server.token(user);
    for refused in [
        path(&token(&other)),
        format!("/ws/chat/{room}/"),
        path("null"),
        path("bad"),
        format!("/ws/chat/999999/?token={}", token(&uma)),
        format!("/ws/chat/99999999999999999999999/?token={}", token(&uma)),
    ] {
        assert_eq!(server.try_socket(&refused, None).await.err(), Some(403), "{refused}");
    }
    let mut admin_socket = server.socket(&path(&token(&admin))).await;
    let online = |number: u64| json!({"type": "user_status", "user_id": number, "status": "online"});
    assert_eq!(admin_socket.next().await, online(admin.number));
    let mut user_socket = server.socket(&path(&token(&uma))).await;
    assert_eq!(user_socket.next().await, online(uma.number));
    assert_eq!(admin_socket.next().await, online(uma.number));
    // Difference: whoever comes in hears who is there already. Refused strangers are told to nobody.
    assert_eq!(user_socket.next().await, online(admin.number));

    let both = async |admin: &mut crate::harness::Socket, user: &mut crate::harness::Socket, label: &str| {
        for (socket, who) in [(admin, "admin"), (user, "user")] {
            assert_covers(&socket.next().await, &frames(RECORDED, label, who)[0], &[]);
        }
    };
    user_socket.send(json!({"type": "chat_message", "message": "hello"})).await;
    both(&mut admin_socket, &mut user_socket, "user chat_message").await;
    user_socket.send(json!({"message": "typeless"})).await;
    both(&mut admin_socket, &mut user_socket, "user typeless message").await;
    user_socket.send(json!({"type": "chat_message", "message": "  "})).await;
    admin_socket.send(json!({"type": "chat_message", "message": "hi from admin"})).await;
    both(&mut admin_socket, &mut user_socket, "admin chat_message").await;
    user_socket.send(json!({"type": "typing", "is_typing": true})).await;
    assert_covers(&admin_socket.next().await, &frames(RECORDED, "user typing", "admin")[0], &[]);
    user_socket.send(json!({"type": "typing", "is_typing": false})).await;
    assert_covers(&admin_socket.next().await, &frames(RECORDED, "user typing false", "admin")[0], &[]);
    user_socket.send(json!({"type": "typing"})).await;
    assert_covers(&admin_socket.next().await, &frames(RECORDED, "user typing missing", "admin")[0], &[]);

    let messages = server.get(&format!("/api/chat/messages/?room_id={room}"), &user).await;
    let first = messages.json[0]["id"].as_u64().unwrap();
    admin_socket.send(json!({"type": "read_receipt", "message_id": first})).await;
    both(&mut admin_socket, &mut user_socket, "admin read_receipt 1").await;
    // Differences: receipts are told once, and only for the other side's messages of this room.
    let receipt = |number| json!({"type": "read_receipt", "message_id": number});
    admin_socket.send(receipt(first)).await;
    user_socket.send(receipt(first)).await;
    user_socket.send(receipt(99_999)).await;
    user_socket.send(json!({"type": "read_receipt"})).await;
    user_socket.send_text("junk").await;
    assert_eq!(user_socket.next().await, frames(RECORDED, "junk", "user")[0]);
    // Difference: what is no object is ignored instead of ending the socket with 1011.
    for junk in [json!([]), json!({"type": "chat_message", "message": 5}), json!({"type": "ping"})] {
        user_socket.send(junk).await;
    }
    user_socket.hears_none_of(&["chat_message", "read_receipt", "typing"]).await;

    let all = server.get(&format!("/api/chat/messages/room_messages/?room_id={room}"), &user).await;
    assert_eq!((all.status, all.json["messages"].as_array().unwrap().len()), (200, 3));
    let is_read = |n: usize| all.json["messages"][n]["is_read"].clone();
    assert_eq!((is_read(0), is_read(1)), (json!(true), json!(false)));
    assert!(all.json["messages"][0]["read_at"].is_string());
    let get =
        async |query: &str, who: &Who| server.get(&format!("/api/chat/messages/room_messages/{query}"), who).await;
    assert_as_recorded(&get(&format!("?room_id={room}"), &stranger).await, "room_messages other", &[]);
    assert_as_recorded(&get("", &user).await, "room_messages none", &[]);
    assert_as_recorded(&get("?room_id=9999", &user).await, "room_messages 404", &[]);
    let post = async |who: &Who, body: Value| server.post("/api/chat/messages/", who, body).await;
    // Difference: texts are trimmed, as everywhere on this server.
    let said = post(&user, json!({"room_id": room, "message": " rest hi "})).await;
    assert_as_recorded(&said, "POST msg json", &["message"]);
    // Difference: what is sent by request is told on the sockets, too.
    assert_eq!(admin_socket.next_of("chat_message").await["message"], "rest hi");
    assert_eq!(user_socket.next_of("chat_message").await["message"], "rest hi");
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
    // Difference: also a message by socket is worth a notification, so there are two.
    assert_covers(&notifications.json[1], &request(RECORDED, "notifications").1[0], &[]);
    // Difference: the count is right.
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

    // Difference: two tabs are one person, so closing one of them tells nobody "offline".
    let mut tab = server.socket(&path(&token(&uma))).await;
    tab.next_of("user_status").await;
    drop(tab);
    admin_socket.hears_none_of(&["offline"]).await;
    drop(user_socket);
    loop {
        let status = admin_socket.next_of("user_status").await;
        if status["status"] == "offline" {
            assert_eq!(status["user_id"], uma.number);
            break;
        }
    }
}
