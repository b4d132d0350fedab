//! Accounts of both products: registration, confirmation, changes, forgotten passwords.

use deskline::domain::Role;
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};

fn uma() -> Value {
    json!({"first_name": "Uma", "last_name": "One", "email": "uma@x.test", "phone_number": "+49 1",
        "date_of_birth": "1990-02-28", "password": "secret-1", "password2": "secret-1"})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_of_the_portal_registers_confirms_and_is_logged_in() {
    let server = TestServer::start().await;
    let post = async |path: &str, body: Value| server.post(&format!("/api/accounts/{path}/"), &Who::Nobody, body).await;
    let log_in = async |password: &str| post("login", json!({"email": "uma@x.test", "password": password})).await;
    let made = post("register", uma()).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let code = server.mailed("confirm your e-mail address: ").await;
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    assert_eq!(log_in("secret-1").await.status, 401, "not yet confirmed");
    let verify =
        async |code: &str| post("verify-otp", json!({"user_id": made.json["user_id"], "otp_code": code})).await;
    let wrong = verify(if code == "000000" { "000001" } else { "000000" }).await;
    assert_eq!((wrong.status, &wrong.json["error"]), (400, &json!("Invalid or expired OTP")));
    let verified = verify(&code).await;
    assert_eq!(verified.status, 200, "{}", verified.json);
    let profile = json!({"first_name": "Uma", "last_name": "One", "email": "uma@x.test", "phone_number": "+49 1",
        "date_of_birth": "1990-02-28"});
    assert_eq!(verified.json["user"], profile);
    assert_eq!(verify(&code).await.status, 400, "used already");
    let who = Who::Bearer(verified.json["tokens"]["access"].as_str().unwrap().to_owned());
    let shown = server.get("/api/accounts/profile/", &who).await.json;
    for (field, value) in profile.as_object().unwrap() {
        assert_eq!(shown["user"][field], *value, "{field}");
    }
    assert_eq!((&shown["user"]["full_name"], &shown["user"]["user_type"]), (&json!("Uma One"), &json!("user")));
    assert_eq!(shown["loan_summary"]["total_applications"], 0, "the page reads sections about loans");
    assert_eq!(server.get("/api/chat/rooms/my_room/", &who).await.status, 200);
    assert_eq!(log_in("secret-1").await.json["user"], profile);
    assert_eq!(post("register", uma()).await.json, json!({"email": ["user with this email already exists."]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_birth_date_of_the_form_is_none() {
    let server = TestServer::start().await;
    let made = server.post("/api/accounts/register/", &Who::Nobody, with(uma(), "date_of_birth", json!(""))).await;
    assert_eq!(made.status, 201, "{}", made.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_portals_forms_name_the_field() {
    let server = TestServer::start().await;
    for (body, field) in [
        (json!({}), "first_name"),
        (with(uma(), "email", json!("nonsense")), "email"),
        (with(uma(), "password2", json!("secret-2")), "password"),
        (with(with(uma(), "password", json!("short")), "password2", json!("short")), "password"),
        (with(uma(), "date_of_birth", json!("28.2.1990")), "date_of_birth"),
        (with(uma(), "date_of_birth", json!(5)), "date_of_birth"),
        (with(uma(), "phone_number", json!("1".repeat(21))), "phone_number"),
        (with(uma(), "first_name", json!("x".repeat(200))), "first_name"),
    ] {
        let refused = server.post("/api/accounts/register/", &Who::Nobody, body).await;
        assert_eq!(refused.status, 400, "{field}: {}", refused.json);
        assert!(refused.json[field][0].is_string(), "{field}: {}", refused.json);
    }
    for body in [json!({}), json!({"user_id": 99, "otp_code": "123456"}), json!({"user_id": 1, "otp_code": []})] {
        assert_eq!(server.post("/api/accounts/verify-otp/", &Who::Nobody, body).await.status, 400);
    }
    assert_eq!(server.get("/api/accounts/profile/", &Who::Nobody).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_changed_in_parts() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "uma@x.test", Role::Customer).await;
    let who = Who::Bearer(server.token(&uma));
    let update = async |method: &str, body: Value| {
        let answer = server.ask(method, "/api/accounts/profile/update/", &who, Some(body)).await;
        assert_eq!((answer.status, &answer.json["message"]), (200, &json!("Profile updated successfully")));
        answer.json["user"].clone()
    };
    let details = |user: &Value| {
        let fields = ["first_name", "last_name", "email", "phone_number", "date_of_birth"];
        fields.map(|field| user[field].clone())
    };
    let changed = update("PATCH", json!({"last_name": "Two", "phone_number": "1", "email": "other@x.test"})).await;
    let expected = ["Uma", "Two", "uma@x.test", "1"].map(|text| json!(text));
    assert_eq!(
        (&details(&changed)[..4], &changed["date_of_birth"]),
        (&expected[..], &Value::Null),
        "the address does not change"
    );
    let changed = update("PUT", json!({"date_of_birth": "1990-02-28"})).await;
    assert_eq!((&details(&changed)[..4], &changed["date_of_birth"]), (&expected[..], &json!("1990-02-28")));
    assert_eq!(update("PUT", json!({"date_of_birth": ""})).await["date_of_birth"], "1990-02-28", "left blank");
    let body = json!({"username": "uma", "password": "secret-1"});
    assert_eq!(
        server.post("/api/auth/login/", &Who::Nobody, body).await.status,
        200,
        "the user name does not change, either"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_reset_with_the_mailed_code() {
    let server = TestServer::start().await;
    server.account("Uma One", "uma@x.test", Role::Customer).await;
    let post = async |path: &str, body: Value| server.post(&format!("/api/accounts/{path}/"), &Who::Nobody, body).await;
    let stranger = post("password-reset-request", json!({"email": "nobody@x.test"})).await;
    let asked = post("password-reset-request", json!({"email": "uma@x.test"})).await;
    assert_eq!(
        (stranger.status, &stranger.json),
        (asked.status, &asked.json),
        "the response does not reveal who has an account"
    );
    let code = server.mailed("choose a new password: ").await;
    let reset = async |code: &str, password: &str| {
        post("password-reset", json!({"email": "uma@x.test", "otp_code": code, "new_password": password})).await.status
    };
    assert_eq!(reset("123456", "another-1").await, 400);
    assert_eq!(reset(&code, "short").await, 400);
    assert_eq!(reset(&code, "another-1").await, 200);
    assert_eq!(reset(&code, "another-2").await, 400, "used already");
    let log_in =
        async |password: &str| post("login", json!({"email": "uma@x.test", "password": password})).await.status;
    assert_eq!((log_in("secret-1").await, log_in("another-1").await), (401, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_profile_is_not_changed() {
    let server = TestServer::start().await;
    server.account("Ann Lee", "ann@x.test", Role::Customer).await;
    let uma = server.account("Uma One", "uma@x.test", Role::Customer).await;
    let who = Who::Bearer(server.token(&uma));
    let put = async |body: Value| server.ask("PUT", "/api/auth/profile/", &who, Some(body)).await;
    let refused = put(json!({"username": "una", "email": "Ann@x.test", "current_password": "secret-1"})).await;
    assert_eq!(refused.json, json!({"email": ["user with this email already exists."]}));
    let me = server.get("/api/auth/me/", &who).await.json;
    assert_eq!((&me["username"], &me["email"]), (&json!("uma"), &json!("uma@x.test")));
    let changed = put(json!({"username": "una", "email": "UMA@x.test"})).await;
    assert_eq!((changed.status, &changed.json["username"]), (200, &json!("una")), "{}", changed.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_of_the_storefront_logs_in_with_the_username_they_registered() {
    let server = TestServer::start().await;
    let ann = json!({"username": "ann.lee", "email": "ann@x.test", "password": "secret-1", "first_name": "Ann"});
    let register = async |body: Value| server.post("/api/register", &Who::Nobody, body).await;
    let made = register(ann.clone()).await;
    assert_eq!((made.status, &made.json["user"]["username"]), (201, &json!("ann.lee")), "{}", made.json);
    let code = server.mailed("code=").await;
    let confirm = json!({"email": "ann@x.test", "code": code});
    assert_eq!(server.post("/api/auth/verify-email", &Who::Nobody, confirm).await.status, 200);
    let body = json!({"username": "ann.lee", "password": "secret-1"});
    let in_ = server.post("/api/login", &Who::Nobody, body).await;
    assert_eq!((in_.status, &in_.json["user"]["username"]), (200, &json!("ann.lee")));
    let other = with(ann.clone(), "email", json!("other@x.test"));
    assert_eq!(register(other).await.json, json!({"username": ["A user with that username already exists."]}));
    let other = with(ann.clone(), "username", json!("other"));
    assert_eq!(register(other).await.json, json!({"email": ["user with this email already exists."]}));
    let forged = with(with(ann, "username", json!("bob@x.test")), "email", json!("mal@x.test"));
    assert_eq!(
        register(forged).await.json,
        json!({"username": ["Enter a valid username."]}),
        "a user name cannot be an address"
    );
}
