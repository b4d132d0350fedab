//! Sessions end on the sockets and routes of both dialects.

use std::time::{Duration, Instant};

use deskline::domain::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer, Who};

/// Time within which an open socket has to be closed.
const SOON: Duration = Duration::from_secs(1);

async fn sign_in(server: &TestServer, password: &str) -> Value {
    let signed_in =
        server.post("/api/auth/login/", &Who::Nobody, json!({"username": "ann", "password": password})).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.json);
    signed_in.json
}

fn text<'a>(pair: &'a Value, which: &str) -> &'a str {
    pair[which].as_str().unwrap()
}

fn bearer(pair: &Value) -> Who {
    Who::Bearer(text(pair, "access").to_owned())
}

/// The statuses of a request and a refresh, in both dialects.
async fn statuses(server: &TestServer, pair: &Value) -> [u16; 4] {
    let refresh = json!({"refresh": pair["refresh"]});
    [
        server.get("/api/auth/me/", &bearer(pair)).await.status,
        server.get("/api/accounts/profile/", &bearer(pair)).await.status,
        server.post("/api/auth/refresh/", &Who::Nobody, refresh.clone()).await.status,
        server.post("/api/token/refresh/", &Who::Nobody, refresh).await.status,
    ]
}

/// Asserts that `end`, which ends an agent's sessions, closes sockets of every kind, that no token from before is
/// accepted afterwards, and that new ones are.
async fn ends_everything(end: impl AsyncFnOnce(&TestServer, &Who) -> Answer, password: &str) {
    let server = TestServer::start().await;
    let customer = server.account("Cu", "cu@x.test", Role::Customer).await;
    let ann = server.account("Ann Lee", "ann@x.test", Role::Agent).await;
    let made = server.get("/api/chat/rooms/my_room/", &Who::Bearer(server.token(&customer))).await;
    let (room, (visited, _)) = (made.json["room"]["id"].clone(), server.visit("Joe").await);
    let (shown, other) = (sign_in(&server, "secret-1").await, sign_in(&server, "secret-1").await);
    let token = text(&shown, "access");
    let paths = ["/ws/admin/chat/".to_owned(), format!("/ws/chat/{visited}/"), format!("/ws/chat/{room}/")];
    let mut sockets = Vec::new();
    for path in &paths {
        sockets.push(server.socket(&format!("{path}?token={token}")).await);
    }
    assert_eq!(statuses(&server, &other).await[..2], [200, 200]);

    let ended = end(&server, &bearer(&other)).await;
    let since = Instant::now();
    assert_eq!(ended.status, 200, "{}", ended.json);
    for (socket, code) in sockets.iter_mut().zip([4401, 4401, 1008]) {
        assert_eq!(socket.end().await, code);
    }
    assert!(since.elapsed() <= SOON, "{:?}", since.elapsed());
    for pair in [&shown, &other] {
        assert_eq!(statuses(&server, pair).await, [401; 4]);
    }
    assert_eq!(server.try_socket(&format!("{}?token={token}", paths[2]), None).await.err(), Some(403));
    assert_eq!(server.socket(&format!("{}?token={token}", paths[0])).await.end().await, 4401);
    let fresh = sign_in(&server, password).await;
    assert_eq!(statuses(&server, &fresh).await[..3], [200; 3], "{}", ann.number);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_all_sessions() {
    let end = async |server: &TestServer, who: &Who| {
        let body = json!({"current_password": "secret-1", "new_password": "another-1"});
        server.post("/api/auth/password/", who, body).await
    };
    ends_everything(end, "another-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_reset_by_mail_ends_all_sessions() {
    let end = async |server: &TestServer, _: &Who| {
        server.post("/api/auth/forgot-password", &Who::Nobody, json!({"email": "ann@x.test"})).await;
        let code = server.mailed("token=").await;
        let body = json!({"email": "ann@x.test", "token": code, "newPassword": "another-1"});
        server.post("/api/auth/reset-password", &Who::Nobody, body).await
    };
    ends_everything(end, "another-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_everywhere_ends_all_sessions() {
    let end = async |server: &TestServer, who: &Who| server.post("/api/auth/logout-everywhere", who, json!({})).await;
    ends_everything(end, "secret-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_only_one_session_and_its_sockets() {
    let server = TestServer::start().await;
    server.account("Ann Lee", "ann@x.test", Role::Agent).await;
    let (one, other) = (sign_in(&server, "secret-1").await, sign_in(&server, "secret-1").await);
    let mut sockets = Vec::new();
    for pair in [&one, &other] {
        sockets.push(server.socket(&format!("/ws/admin/chat/?token={}", text(pair, "access"))).await);
    }
    let done = server.post("/api/auth/logout", &bearer(&one), json!({"refresh": one["refresh"]})).await;
    assert_eq!(done.status, 200, "{}", done.json);
    assert_eq!(sockets[0].end().await, 4401);
    assert_eq!(statuses(&server, &one).await, [401; 4]);
    sockets[1].send(json!({"type": "ping"})).await;
    sockets[1].next_of("pong").await;
    assert_eq!(statuses(&server, &other).await[..3], [200; 3]);
    assert_eq!(server.post("/api/auth/logout", &bearer(&one), json!({})).await.status, 401, "ended already");
}
