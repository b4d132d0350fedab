//! Every route of both products that needs credentials or a body, with all kinds of bad ones.

use deskline::domain::{Clock as _, Role, SystemClock, User};
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer, Who, keys};
use crate::shared::SECRET;

/// An id without a room, for requests that are refused before the room is looked up.
const ROOM: &str = "00000000-0000-4000-8000-000000000000";

/// One generation of the storefront's panel uses the doubled prefix.
const AUTH: [&str; 2] = ["/api/auth", "/api/api/auth"];

const REFRESH: [&str; 5] = [
    "/api/refresh",
    "/api/auth/refresh/",
    "/api/api/auth/refresh/",
    "/api/token/refresh/",
    "/api/accounts/token/refresh/",
];

const VERIFY: [&str; 2] = ["/api/token/verify/", "/api/accounts/token/verify/"];

fn of_accounts() -> Vec<(&'static str, String)> {
    let shop = AUTH.iter().flat_map(|prefix| {
        [("GET", "me"), ("PUT", "profile"), ("POST", "password")]
            .map(|(method, path)| (method, format!("{prefix}/{path}/")))
    });
    let others = [
        ("GET", "/api/me".to_owned()),
        ("GET", "/api/public/user-chat/".to_owned()),
        ("POST", "/api/public/user-chat/".to_owned()),
        ("POST", format!("/api/public/user-chat/{ROOM}/send_message/")),
        ("GET", "/api/accounts/profile/".to_owned()),
        ("PUT", "/api/accounts/profile/update/".to_owned()),
        ("PATCH", "/api/accounts/profile/update/".to_owned()),
        ("GET", "/api/chat/rooms/".to_owned()),
        ("POST", "/api/chat/rooms/".to_owned()),
        ("GET", "/api/chat/rooms/my_room/".to_owned()),
        ("GET", "/api/chat/rooms/user/1/".to_owned()),
        ("GET", "/api/chat/rooms/1/".to_owned()),
        ("POST", "/api/chat/rooms/1/mark_as_read/".to_owned()),
        ("GET", "/api/chat/messages/".to_owned()),
        ("POST", "/api/chat/messages/".to_owned()),
        ("GET", "/api/chat/messages/room_messages/".to_owned()),
        ("GET", "/api/chat/messages/1/".to_owned()),
        ("PUT", "/api/chat/messages/1/".to_owned()),
        ("PATCH", "/api/chat/messages/1/".to_owned()),
        ("DELETE", "/api/chat/messages/1/".to_owned()),
        ("POST", "/api/chat/messages/1/mark_read/".to_owned()),
        ("GET", "/api/chat/notifications/".to_owned()),
        ("POST", "/api/chat/notifications/1/mark_read/".to_owned()),
        ("POST", "/api/chat/notifications/mark_all_read/".to_owned()),
        ("GET", "/api/notifications/".to_owned()),
        ("PATCH", "/api/notifications/1/".to_owned()),
        ("POST", "/api/notifications/mark_all_as_read/".to_owned()),
    ];
    shop.chain(others).collect()
}

fn of_agents() -> Vec<(&'static str, String)> {
    let rooms = "/api/admin/chat-rooms/";
    let room = |path: &str| format!("{rooms}{ROOM}/{path}");
    vec![
        ("GET", rooms.to_owned()),
        ("POST", rooms.to_owned()),
        ("GET", room("")),
        ("PUT", room("")),
        ("PATCH", room("")),
        ("DELETE", room("")),
        ("POST", room("send_message/")),
        ("GET", room("get_messages/")),
        ("POST", room("mark_as_read/")),
        ("PATCH", room("mark_as_read/")),
        ("PATCH", room("close_room/")),
        ("GET", "/api/admin/chat-messages/".to_owned()),
    ]
}

fn detail(text: &str) -> Value {
    json!({ "detail": text })
}

fn invalid() -> Value {
    json!({"detail": "Token is invalid", "code": "token_not_valid"})
}

fn bad_token() -> Value {
    json!({"detail": "Given token not valid for any token type", "code": "token_not_valid",
        "messages": [{"token_class": "AccessToken", "token_type": "access", "message": "Token is invalid"}]})
}

fn assert_answer(answer: &Answer, status: u16, body: &Value, what: &str) {
    assert_eq!((answer.status, &answer.json), (status, body), "{what}");
}

/// A customer, and the tokens of their log-in.
async fn customer(server: &TestServer) -> (User, Who, Value) {
    let ann = server.account("Ann Lee", "ann@x.test", Role::Customer).await;
    let body = json!({"username": "ann", "password": "secret-1"});
    let in_ = server.post("/api/auth/login/", &Who::Nobody, body).await;
    assert_eq!(in_.status, 200, "{}", in_.json);
    (ann, Who::Bearer(in_.json["access"].as_str().unwrap().to_owned()), in_.json)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_authenticate_receives_nothing() {
    let server = TestServer::start().await;
    let (ann, customer, tokens) = customer(&server).await;
    let expired = SystemClock.now().seconds() - 1;
    let claims = json!({"token_type": "access", "user_id": ann.number.to_string(), "exp": expired});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let expired = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    let wrong = ["bad".to_owned(), expired, tokens["refresh"].as_str().unwrap().to_owned()].map(Who::Bearer);
    for (method, path) in of_accounts().into_iter().chain(of_agents()) {
        let ask = async |who: &Who| server.ask(method, &path, who, Some(json!({}))).await;
        let what = format!("{method} {path}");
        let anonymous = ask(&Who::Nobody).await;
        assert_answer(&anonymous, 401, &detail("Authentication credentials were not provided."), &what);
        assert_eq!(anonymous.challenge.as_deref(), Some("Bearer realm=\"api\""), "{what}");
        for who in &wrong {
            let refused = ask(who).await;
            assert_answer(&refused, 401, &bad_token(), &what);
            assert_eq!(refused.challenge.as_deref(), Some("Bearer realm=\"api\""), "{what}");
        }
    }
    for (method, path) in of_agents() {
        let refused = server.ask(method, &path, &customer, Some(json!({}))).await;
        assert_answer(&refused, 403, &detail("You do not have permission to perform this action."), &path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_fields_are_named() {
    let server = TestServer::start().await;
    let (_, ann, _) = customer(&server).await;
    let mut asked: Vec<(String, &Who, &[&str])> = vec![
        ("/api/login".into(), &Who::Nobody, &["username", "password"]),
        ("/api/register".into(), &Who::Nobody, &["username", "email", "password"]),
        ("/api/token/".into(), &Who::Nobody, &["email", "password"]),
        ("/api/accounts/login/".into(), &Who::Nobody, &["email", "password"]),
        ("/api/accounts/admin/login/step1/".into(), &Who::Nobody, &["username", "password"]),
    ];
    asked.extend(AUTH.map(|prefix| (format!("{prefix}/login/"), &Who::Nobody, ["username", "password"].as_slice())));
    asked.extend(
        AUTH.map(|prefix| (format!("{prefix}/password/"), &ann, ["current_password", "new_password"].as_slice())),
    );
    asked.extend(REFRESH.map(|path| (path.to_owned(), &Who::Nobody, ["refresh"].as_slice())));
    asked.extend(VERIFY.map(|path| (path.to_owned(), &Who::Nobody, ["token"].as_slice())));
    for (path, who, fields) in asked {
        let all = |value: Value| -> Value { fields.iter().map(|field| ((*field).to_owned(), value.clone())).collect() };
        let required = all(json!(["This field is required."]));
        for body in [json!({}), all(json!(null)), all(json!("")), all(json!(["x"]))] {
            assert_answer(&server.post(&path, who, body).await, 400, &required, &path);
        }
        for body in [json!([]), json!("text")] {
            let expected = detail("Invalid data. Expected a dictionary.");
            assert_answer(&server.post(&path, who, body).await, 400, &expected, &path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refresh_route_returns_new_tokens_each_time() {
    let server = TestServer::start().await;
    let (_, _, tokens) = customer(&server).await;
    let (mut access, mut refresh) = (tokens["access"].clone(), tokens["refresh"].clone());
    for path in REFRESH {
        let post = async |token: &Value| server.post(path, &Who::Nobody, json!({"refresh": token})).await;
        for wrong in [&json!("bad"), &access] {
            assert_answer(&post(wrong).await, 401, &invalid(), path);
        }
        let next = post(&refresh).await;
        assert_eq!((next.status, keys(&next.json)), (200, vec!["access", "refresh"]), "{path}");
        assert_eq!(post(&refresh).await.status, 200, "{path}: a second time");
        (access, refresh) = (next.json["access"].clone(), next.json["refresh"].clone());
        let who = Who::Bearer(access.as_str().unwrap().to_owned());
        assert_eq!(server.get("/api/auth/me/", &who).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_portal_can_verify_a_token() {
    let server = TestServer::start().await;
    let (_, _, tokens) = customer(&server).await;
    for path in VERIFY {
        let post = async |token: &Value| server.post(path, &Who::Nobody, json!({"token": token})).await;
        assert_answer(&post(&tokens["access"]).await, 200, &json!({}), path);
        assert_answer(&post(&json!("bad")).await, 401, &invalid(), path);
    }
}
