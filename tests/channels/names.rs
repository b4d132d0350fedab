//! First and last names are shown as they were entered, although an account has one name.

use deskline::domain::Role;
use deskline::store::{UserChange, UserKey};
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};

fn parts(user: &Value) -> [&str; 2] {
    ["first_name", "last_name"].map(|field| user[field].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_given_in_two_parts_stays_so_until_it_is_changed_as_a_whole() {
    let server = TestServer::start().await;
    let form = json!({"first_name": " Mary Ann ", "last_name": "Smith", "email": "mary@x.test", "password": "secret-1",
        "password2": "secret-1"});
    let made = server.post("/api/accounts/register/", &Who::Nobody, form).await.json;
    let code = server.mailed("confirm your e-mail address: ").await;
    let verify = json!({"user_id": made["user_id"], "otp_code": code});
    let verified = server.post("/api/accounts/verify-otp/", &Who::Nobody, verify).await.json;
    assert_eq!(parts(&verified["user"]), ["Mary Ann", "Smith"]);
    let who = Who::Bearer(verified["tokens"]["access"].as_str().unwrap().to_owned());
    let portal = async || server.get("/api/accounts/profile/", &who).await.json["user"].clone();
    let shop = async || server.get("/api/auth/me/", &who).await.json;
    assert_eq!(portal().await["full_name"], "Mary Ann Smith");
    assert_eq!((parts(&portal().await), parts(&shop().await)), (["Mary Ann", "Smith"], ["Mary Ann", "Smith"]));

    let update = async |body: Value| server.ask("PATCH", "/api/accounts/profile/update/", &who, Some(body)).await.json;
    assert_eq!(parts(&update(json!({"last_name": "van Dyke"})).await["user"]), ["Mary Ann", "van Dyke"]);
    assert_eq!(parts(&update(json!({"phone_number": "1"})).await["user"]), ["Mary Ann", "van Dyke"]);
    assert_eq!(parts(&update(json!({"first_name": "May"})).await["user"]), ["May", "van Dyke"]);

    // Another frontend has a single name only.
    let user =
        server.stores.users.find_user(UserKey::Number(made["user_id"].as_u64().unwrap())).await.unwrap().unwrap();
    let admin = server.account("Ada", "ada@x.test", Role::Admin).await;
    let rename = async |name: &str| {
        let path = format!("/api/admin/updateuser/{}", user.id);
        let body = json!({"name": name});
        assert_eq!(server.ask("PUT", &path, &Who::Bearer(server.token(&admin)), Some(body)).await.status, 200);
    };
    rename("May van Dyke").await;
    assert_eq!(parts(&portal().await), ["May", "van Dyke"], "the same name again");
    rename("Mary Lou Jones").await;
    assert_eq!((parts(&portal().await), parts(&shop().await)), (["Mary", "Lou Jones"], ["Mary", "Lou Jones"]));
    assert_eq!(parts(&update(json!({"last_name": "Miller"})).await["user"]), ["Mary", "Miller"]);
    let change = UserChange { name: Some("Madonna".into()), ..UserChange::default() };
    server.stores.users.update_user(user.id, change, user.updated_at).await.unwrap();
    assert_eq!(parts(&portal().await), ["Madonna", ""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storefronts_form_has_a_name_in_two_parts() {
    let server = TestServer::start().await;
    let form = json!({"username": "mary", "email": "mary@x.test", "password": "secret-1", "first_name": "Mary Ann",
        "last_name": "Smith"});
    assert_eq!(server.post("/api/register", &Who::Nobody, form).await.status, 201);
    let user = server.stores.users.find_user(UserKey::Email(&"mary@x.test".parse().unwrap())).await.unwrap().unwrap();
    let shown = server.get("/api/auth/me/", &Who::Bearer(server.token(&user))).await;
    assert_eq!(shown.status, 401, "not yet confirmed");
    let change = UserChange { status: Some(deskline::domain::AccountStatus::Active), ..UserChange::default() };
    server.stores.users.update_user(user.id, change, user.updated_at).await.unwrap();
    let shown = server.get("/api/auth/me/", &Who::Bearer(server.token(&user))).await.json;
    assert_eq!((parts(&shown), &shown["username"]), (["Mary Ann", "Smith"], &json!("mary")));
}
