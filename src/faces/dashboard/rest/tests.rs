//! Tests of the account routes, over a real store.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{AccountsState, admin, auth};
use crate::accounts::testing::Fixture;
use crate::auth::Tokens;
use crate::domain::{AccountStatus, Clock as _, Role, Timestamp, User};

struct Face {
    desk: Fixture,
    router: Router,
    admin: User,
    ann: User,
}

impl Face {
    async fn new() -> Self {
        let desk = Fixture::new();
        let admin = desk.account("admin@x.test", Role::Admin, AccountStatus::Active).await;
        let ann = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        desk.account("blocked@x.test", Role::Customer, AccountStatus::Blocked).await;
        desk.account("unver@x.test", Role::Customer, AccountStatus::Unverified).await;
        let state = AccountsState(desk.accounts.clone());
        let router = Router::new().merge(auth::routes()).merge(admin::routes()).with_state(state);
        Self { desk, router, admin, ann }
    }

    fn token(&self, user: &User) -> String {
        self.desk.tokens.issue(user.id, user.role, self.desk.clock.now())
    }

    async fn ask(&self, route: &str, authorization: Option<&str>, body: impl Into<Body>) -> (StatusCode, Value) {
        let (method, uri) = route.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{route}: {status} without JSON")))
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, json) = self.ask(&format!("POST {path}"), None, body.to_string()).await;
        (status.as_u16(), json)
    }

    async fn by_admin(&self, route: &str, body: Value) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.token(&self.admin));
        let (status, json) = self.ask(route, Some(&bearer), body.to_string()).await;
        (status.as_u16(), json)
    }
}

fn refused(message: &str) -> Value {
    json!({"success": false, "message": message})
}

fn done(message: &str) -> Value {
    json!({"success": true, "message": message})
}

#[tokio::test]
async fn log_in_responds_as_the_replaced_server_did() {
    let face = Face::new().await;
    for email in ["ann@x.test", "ANN@X.TEST", " ann@x.test "] {
        let (status, json) = face.post("/api/auth/login", json!({"email": email, "password": "secret1"})).await;
        assert_eq!((status, &json["success"], &json["role"]), (200, &json!(true), &json!("user")), "{email}");
        let payload = Tokens::verify(&face.desk.tokens, json["token"].as_str().unwrap(), face.desk.clock.now());
        assert!(payload.is_ok());
    }
    for (body, status, message) in [
        (json!({"email": "ann@x.test", "password": "no"}), 401, "Invalid email or password"),
        (json!({"email": "nobody@x.test", "password": "secret1"}), 401, "Invalid email or password"),
        (json!({"email": "no address", "password": "secret1"}), 401, "Invalid email or password"),
        (json!({"email": "blocked@x.test", "password": "no"}), 401, "Invalid email or password"),
        (json!({"email": "blocked@x.test", "password": "secret1"}), 403, "Account is blocked."),
        (json!({"email": "unver@x.test", "password": "no"}), 401, "Invalid email or password"),
        (json!({"email": "unver@x.test", "password": "secret1"}), 403, "Account not verified. Please verify OTP."),
        (json!({}), 400, "Email and password are required"),
        (json!({"email": "", "password": "secret1"}), 400, "Email and password are required"),
        (json!({"email": null, "password": null}), 400, "Email and password are required"),
    ] {
        assert_eq!(face.post("/api/auth/login", body.clone()).await, (status, refused(message)), "{body}");
    }
}

#[tokio::test]
async fn register_responds_as_the_replaced_server_did_and_mails_a_link() {
    let mut face = Face::new().await;
    let new = json!({"name": "New", "email": "New@x.test", "password": "secret1"});
    assert_eq!(face.post("/api/auth/register", new.clone()).await, (201, done("User registered successfully")));
    assert_eq!(face.post("/api/auth/register", new).await, (409, refused("User already exists")));
    let short = json!({"name": "N", "email": "n@x.test", "password": "1"});
    let too_short = refused("Password must be at least 6 characters");
    assert_eq!(face.post("/api/auth/register", short).await, (400, too_short));
    assert_eq!(face.post("/api/auth/register", json!({})).await.0, 400);

    let code = face.desk.mailed("http://localhost:5173/auth/verify?email=new%40x.test&code=").await;
    let log_in = json!({"email": "new@x.test", "password": "secret1"});
    assert_eq!(face.post("/api/auth/login", log_in.clone()).await.0, 403);
    let verify = json!({"email": "new@x.test", "code": code});
    let wrong = json!({"email": "new@x.test", "code": "wrong"});
    assert_eq!(face.post("/api/auth/verify-email", wrong).await, (400, refused("Invalid or expired code")));
    assert_eq!(face.post("/api/auth/verify-email", verify).await, (200, done("Email verified successfully")));
    assert_eq!(face.post("/api/auth/login", log_in).await.0, 200);
}

#[tokio::test]
async fn a_forgotten_password_is_reset_and_unknown_addresses_get_the_same_response() {
    let mut face = Face::new().await;
    let known = face.post("/api/auth/forgot-password", json!({"email": "ann@x.test"})).await;
    let unknown = face.post("/api/auth/forgot-password", json!({"email": "nobody@x.test"})).await;
    assert_eq!(known, unknown);
    assert_eq!(known.0, 200);
    let sent_again = face.post("/api/auth/resend-verification", json!({"email": "ann@x.test"})).await;
    assert_eq!(sent_again, face.post("/api/auth/resend-verification", json!({"email": "nobody@x.test"})).await);
    let token = face.desk.mailed("token=").await;
    let body = |token: &str, password: &str| json!({"email": "ann@x.test", "token": token, "newPassword": password});
    assert_eq!(face.post("/api/auth/reset-password", body(&token, "short")).await.0, 400);
    assert_eq!(face.post("/api/auth/reset-password", body("wrong", "another1")).await.0, 400);
    let reset = face.post("/api/auth/reset-password", body(&token, "another1")).await;
    assert_eq!(reset, (200, done("Password reset successfully")));
    assert_eq!(face.post("/api/auth/login", json!({"email": "ann@x.test", "password": "another1"})).await.0, 200);
}

#[tokio::test]
async fn too_many_attempts_get_retry_after() {
    let face = Face::new().await;
    let body = json!({"email": "ann@x.test", "password": "no"}).to_string();
    for _ in 0..10 {
        assert_eq!(face.ask("POST /api/auth/login", None, body.clone()).await.0, 401);
    }
    let request = Request::post("/api/auth/login").body(Body::from(body)).unwrap();
    let response = face.router.clone().oneshot(request).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"60".parse().unwrap()));
}

#[tokio::test]
async fn google_sign_in_is_not_implemented() {
    let face = Face::new().await;
    let response = face.ask("GET /api/auth/google", None, "").await;
    let message = "Google sign-in is not set up on this server";
    assert_eq!(response, (StatusCode::NOT_IMPLEMENTED, refused(message)));
}

#[tokio::test]
async fn errors_about_malformed_bodies_are_json() {
    let face = Face::new().await;
    let admin = format!("Bearer {}", face.token(&face.admin));
    let id = face.ann.id;
    let long = json!({"email": "x".repeat(5000), "password": "secret1"}).to_string();
    for route in [
        "POST /api/auth/login".to_owned(),
        "POST /api/auth/register".to_owned(),
        "POST /api/auth/verify-email".to_owned(),
        "POST /api/auth/resend-verification".to_owned(),
        "POST /api/auth/forgot-password".to_owned(),
        "POST /api/auth/reset-password".to_owned(),
        "POST /api/admin/createuser".to_owned(),
        format!("PUT /api/admin/updateuser/{id}"),
    ] {
        for body in [
            "{",
            "nonsense",
            "null",
            "42",
            "\"text\"",
            "[]",
            r#"["ann@x.test","secret1"]"#,
            r#"{"email":{"$ne":null},"password":{"$ne":null}}"#,
            r#"{"email":42,"password":42}"#,
            r#"{"email":["ann@x.test"],"password":"secret1"}"#,
            r#"{"email":"ann@x.test\u0000","password":"secret1"}"#,
            r#"{"email":"ann@x.test","email":"admin@x.test"}"#,
            r#"{"email":"\ud800"}"#,
            "{\"email\":\"\u{0}\"}",
            &long,
            &format!("{{\"x\":{}", "[".repeat(10_000)),
        ] {
            let (status, json) = face.ask(&route, Some(&admin), body.to_owned()).await;
            assert_eq!((status.as_u16(), &json["success"]), (400, &json!(false)), "{route} {body}");
        }
        let (status, json) = face.ask(&route, Some(&admin), vec![0xff; 10]).await;
        assert_eq!((status.as_u16(), &json["success"]), (400, &json!(false)), "{route}");
        let (status, json) = face.ask(&route, Some(&admin), vec![b' '; 100_000]).await;
        assert_eq!((status.as_u16(), &json["success"]), (413, &json!(false)), "{route}");
    }
}

#[tokio::test]
async fn only_admins_with_a_valid_token_may_administer_accounts() {
    let face = Face::new().await;
    let route = "GET /api/admin/getusers";
    let gone = face.desk.account("gone@x.test", Role::Admin, AccountStatus::Active).await;
    face.desk.stores.users.delete_user(gone.id).await.unwrap();
    let shut = face.desk.account("shut@x.test", Role::Admin, AccountStatus::Blocked).await;
    let expired = face.desk.tokens.issue(face.admin.id, face.admin.role, Timestamp::from_millis(0));
    for (authorization, status, message) in [
        (None, 401, "No token provided"),
        (Some("Bearer ".to_owned()), 401, "No token provided"),
        (Some("Bearer null".to_owned()), 401, "Invalid token"),
        (Some("Bearer é".to_owned()), 401, "Invalid token"),
        (Some(format!("Bearer {expired}")), 401, "Token expired"),
        (Some(format!("Bearer {}", face.token(&gone))), 401, "Invalid token"),
        (Some(format!("Bearer {}", face.token(&shut))), 401, "Invalid token"),
        (Some(format!("Bearer {}", face.token(&face.ann))), 403, "Access denied"),
    ] {
        let response = face.ask(route, authorization.as_deref(), "").await;
        assert_eq!((response.0.as_u16(), response.1), (status, refused(message)), "{authorization:?}");
    }
    let mut forged = face.ann.clone();
    forged.role = Role::Admin;
    let bearer = format!("Bearer {}", face.token(&forged));
    assert_eq!(face.ask(route, Some(&bearer), "").await.0, 403, "the role is the account's, not the token's");
}

#[tokio::test]
async fn customers_are_listed_ten_per_page() {
    let face = Face::new().await;
    for n in 0..9 {
        face.desk.account(&format!("c{n}@x.test"), Role::Customer, AccountStatus::Active).await;
    }
    let (status, json) = face.by_admin("GET /api/admin/getusers?page=1", json!({})).await;
    assert_eq!((status, json["data"].as_array().unwrap().len()), (200, 10));
    assert_eq!((&json["page"], &json["totalPages"], &json["totalRecords"]), (&json!(1), &json!(2), &json!(12)));
    let row = &json["data"][0];
    assert_eq!((&row["_id"], &row["email"]), (&json!(face.ann.id.to_string()), &json!("ann@x.test")));
    assert_eq!((&row["status"], &row["createdAt"]), (&json!("active"), &json!("2026-11-21T08:22:16.000Z")));
    assert!(!json.to_string().contains("password"));
    let (_, json) = face.by_admin("GET /api/admin/getusers?page=2", json!({})).await;
    assert_eq!(json["data"].as_array().unwrap().len(), 2);
    for page in ["0", "-1", "x", "", "%ff", "18446744073709551615", "99999999999999999999999", "1&page=2"] {
        let (status, json) = face.by_admin(&format!("GET /api/admin/getusers?page={page}"), json!({})).await;
        assert_eq!((status, &json["success"]), (200, &json!(true)), "{page}");
    }
}

#[tokio::test]
async fn an_admin_creates_updates_and_deletes_accounts() {
    let mut face = Face::new().await;
    let new = json!({"name": "Bob", "email": "bob@x.test", "password": "secret1", "role": "agent"});
    let (status, json) = face.by_admin("POST /api/admin/createuser", new.clone()).await;
    assert_eq!((status, &json["data"]["role"], &json["data"]["status"]), (201, &json!("agent"), &json!("active")));
    assert_eq!(face.by_admin("POST /api/admin/createuser", new).await, (409, refused("User already exists")));
    let id: crate::domain::UserId = json["data"]["_id"].as_str().unwrap().parse().unwrap();

    let update = format!("PUT /api/admin/updateuser/{id}");
    let (status, json) = face.by_admin(&update, json!({"name": "Bobby", "status": "Blocked"})).await;
    assert_eq!((status, &json["data"]["name"], &json["data"]["status"]), (200, &json!("Bobby"), &json!("Blocked")));
    assert_eq!(face.desk.changed.try_recv(), Ok(id));
    assert_eq!(face.by_admin(&update, json!({"email": "ann@x.test"})).await.0, 409);
    assert_eq!(face.by_admin(&update, json!({"role": "king"})).await.0, 400);
    assert_eq!(face.by_admin(&update, json!({"status": "dead"})).await.0, 400);

    let delete = format!("DELETE /api/admin/deleteuser/{id}");
    assert_eq!(face.by_admin(&delete, json!({})).await, (200, done("User deleted successfully")));
    assert_eq!(face.desk.changed.try_recv(), Ok(id));
    assert_eq!(face.by_admin(&delete, json!({})).await, (404, refused("User not found")));
    assert_eq!(face.by_admin(&update, json!({"name": "Bob"})).await, (404, refused("User not found")));
    for id in ["x", "%ff", "%00", "[object%20Object]"] {
        let response = face.by_admin(&format!("DELETE /api/admin/deleteuser/{id}"), json!({})).await;
        assert_eq!(response, (400, refused("Invalid user id")));
    }
}

#[tokio::test]
async fn admins_cannot_remove_their_own_access() {
    let face = Face::new().await;
    let id = face.admin.id;
    for change in [json!({"role": "user"}), json!({"status": "Blocked"}), json!({"status": "unverified"})] {
        assert_eq!(face.by_admin(&format!("PUT /api/admin/updateuser/{id}"), change).await.0, 400);
    }
    assert_eq!(face.by_admin(&format!("DELETE /api/admin/deleteuser/{id}"), json!({})).await.0, 400);
    assert_eq!(face.by_admin(&format!("PUT /api/admin/updateuser/{id}"), json!({"name": "Boss"})).await.0, 200);
}
