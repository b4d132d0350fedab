//! The portal's pages: their forms, and their socket before they know their room.

use deskline::domain::{Clock as _, Role, SystemClock};
use deskline::store::{ProfileChange, UserChange};
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};

/// The "forgot password" page has a field for a code that accepts digits only, and shows `error` and `message`.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_reset_with_digits_and_errors_are_shown() {
    let server = TestServer::start().await;
    server.account("Uma One", "uma@x.test", Role::Customer).await;
    let post = async |path: &str, body: Value| server.post(&format!("/api/accounts/{path}/"), &Who::Nobody, body).await;
    assert_eq!(post("password-reset-request", json!({"email": "uma@x.test"})).await.status, 200);
    let code = server.mailed("choose a new password: ").await;
    assert!(code.len() == 12 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    let form = |code: &str, password: &str, again: &str| json!({"email": "uma@x.test", "otp_code": code, "password": password, "password2": again});
    for (wrong, error) in [
        (form("", "another-1", "another-1"), "email, otp_code and password are required"),
        (form(&code, "another-1", "another-2"), "Password fields didn't match."),
        (form(&code, "short", "short"), "This password is too short. It must contain at least 8 characters."),
        (form("123456789012", "another-1", "another-1"), "Invalid or expired OTP"),
    ] {
        let answer = post("password-reset", wrong).await;
        assert_eq!((answer.status, &answer.json["error"]), (400, &json!(error)));
    }
    let done = post("password-reset", form(&code, "another-1", "another-1")).await;
    assert_eq!((done.status, &done.json["message"]), (200, &json!("Password reset successfully")));
    let log_in =
        async |password: &str| post("login", json!({"email": "uma@x.test", "password": password})).await.status;
    assert_eq!((log_in("secret-1").await, log_in("another-1").await), (401, 200));
}

/// The admin page sends a fixed user name.
#[tokio::test(flavor = "multi_thread")]
async fn an_admin_logs_in_with_a_username_of_digits() {
    let server = TestServer::start().await;
    let ada = server.account("Ada", "ada@x.test", Role::Admin).await;
    let profile = ProfileChange { username: Some("9999999999".into()), ..ProfileChange::default() };
    let change = UserChange { profile, ..UserChange::default() };
    server.stores.users.update_user(ada.id, change, SystemClock.now()).await.unwrap();
    let credentials = json!({"username": "9999999999", "password": "secret-1"});
    let first = server.post("/api/accounts/admin/login/step1/", &Who::Nobody, credentials).await;
    assert_eq!(first.status, 200, "{}", first.json);
    let code = server.mailed("log in: ").await;
    let second = json!({"user_id": first.json["user_id"], "otp_code": code});
    let second = server.post("/api/accounts/admin/login/step2/", &Who::Nobody, second).await;
    assert!(second.json["access"].is_string(), "{}", second.json);
}

/// If the socket were accepted and closed, the page would reconnect every second.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_without_a_room_is_refused_in_the_handshake() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "uma@x.test", Role::Customer).await;
    let token = server.token(&uma);
    for room in ["undefined", "null", "NaN", "0", "18446744073709551616"] {
        for token in [token.as_str(), "null"] {
            let refused = server.try_socket(&format!("/ws/chat/{room}/?token={token}"), None).await.map(drop);
            assert_eq!(refused, Err(403), "{room}");
        }
    }
}

/// `reply_to` is the same in a frame as in the list of messages.
#[tokio::test(flavor = "multi_thread")]
async fn reply_to_has_the_same_shape_in_frames_and_lists() {
    let server = TestServer::start().await;
    let ada = server.account("Ada", "ada@x.test", Role::Admin).await;
    let uma = server.account("Uma One", "uma@x.test", Role::Customer).await;
    let (agent, user) = (Who::Bearer(server.token(&ada)), Who::Bearer(server.token(&uma)));
    let room = server.get("/api/chat/rooms/my_room/", &user).await.json["room"]["id"].clone();
    let asked = server.post("/api/chat/messages/", &user, json!({"room_id": room, "message": "when?"})).await.json;
    let mut socket = server.socket(&format!("/ws/chat/{room}/?token={}", server.token(&uma))).await;
    let answer = json!({"room_id": room, "message": "at noon", "reply_to": asked["id"]});
    let answered = server.post("/api/chat/messages/", &agent, answer).await.json;
    let frame = socket.next_of("chat_message").await;
    assert_eq!(frame["message"], "at noon");
    assert_eq!(frame["reply_to"], answered["reply_to"]);
    assert_eq!(frame["reply_to"]["message"], "when?");
    socket.send(json!({"type": "chat_message", "message": "thanks"})).await;
    assert_eq!(socket.next_of("chat_message").await["reply_to"], Value::Null);
}

/// A room's page shows the other side as online until it gets `offline`, even if it was disconnected when they left.
#[tokio::test(flavor = "multi_thread")]
async fn a_reconnected_socket_learns_who_is_offline() {
    let server = TestServer::start().await;
    let ada = server.account("Ada", "ada@x.test", Role::Admin).await;
    let uma = server.account("Uma One", "uma@x.test", Role::Customer).await;
    let room =
        server.get("/api/chat/rooms/my_room/", &Who::Bearer(server.token(&uma))).await.json["room"]["id"].clone();
    let path = |user| format!("/ws/chat/{room}/?token={}", server.token(user));
    for (back, away) in [(&ada, &uma), (&uma, &ada)] {
        let mut socket = server.socket(&path(back)).await;
        let gone = json!({"type": "user_status", "user_id": away.number, "status": "offline"});
        while socket.next_of("user_status").await != gone {}
    }
    let (mut agent, mut user) = (server.socket(&path(&ada)).await, server.socket(&path(&uma)).await);
    for socket in [&mut agent, &mut user] {
        for _ in 0..3 {
            let Some(frame) = socket.hears().await else { continue };
            assert_ne!(frame["status"], "offline", "{frame}");
        }
    }
}
