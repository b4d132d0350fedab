//! People of the storefront change their own account; agents of the portal log in.

use deskline::domain::Role;
use serde_json::{Value, json};

use crate::harness::{TestServer, Who, keys};

#[tokio::test(flavor = "multi_thread")]
async fn the_doubled_path_prefix_of_one_generation_works_like_the_single_one() {
    let server = TestServer::start().await;
    for (n, prefix) in ["/api/auth", "/api/api/auth"].into_iter().enumerate() {
        let ann = server.account("Ann Lee", &format!("ann{n}@x.test"), Role::Customer).await;
        let log_in = async |name: &str, password: &str| {
            let body = json!({"username": name, "password": password});
            server.post(&format!("{prefix}/login/"), &Who::Nobody, body).await
        };
        let in_ = log_in(&format!("ann{n}"), "secret-1").await;
        let who = Who::Bearer(in_.json["access"].as_str().unwrap().to_owned());
        let mut expected = json!({"id": ann.number, "username": format!("ann{n}"), "email": format!("ann{n}@x.test"),
            "first_name": "Ann", "last_name": "Lee", "is_staff": false, "is_superuser": false, "user_type": "User"});
        assert_eq!(in_.json["user"], expected);
        let me = async || server.get(&format!("{prefix}/me/"), &who).await.json;
        assert_eq!(me().await, expected);

        let put = async |body: Value| server.ask("PUT", &format!("{prefix}/profile/"), &who, Some(body)).await;
        for (body, refusal) in [
            (json!({"email": "nonsense"}), json!({"email": ["Enter a valid email address."]})),
            (json!({"username": "no@name"}), json!({"username": ["Enter a valid username."]})),
        ] {
            let refused = put(body).await;
            assert_eq!((refused.status, refused.json), (400, refusal), "{prefix}");
        }
        assert_eq!(me().await, expected, "a refused change has no effect");
        let changed = put(json!({"username": format!("una{n}"), "email": format!("ANN{n}@x.test")})).await;
        expected["username"] = json!(format!("una{n}"));
        assert_eq!((changed.status, &changed.json), (200, &expected), "{prefix}: the same address takes no password");
        // A new address requires the password, and a confirmation by mail to that address.
        let new = format!("una{n}@x.test");
        for password in [None, Some("secret-2")] {
            let refused = put(json!({"email": new, "current_password": password})).await;
            assert_eq!((refused.status, refused.json["email"].is_array()), (400, true), "{prefix}: {}", refused.json);
        }
        let waiting = put(json!({"email": new, "current_password": "secret-1"})).await;
        assert_eq!((waiting.status, &waiting.json), (200, &expected), "{prefix}: it waits to be confirmed");
        let link = format!("/api/auth/confirm-email?token={}", server.mailed("confirm-email?token=").await);
        let visit = async |method: &str| {
            let asked = server.http.request(method.parse().unwrap(), format!("http://{}{link}", server.address()));
            asked.send().await.unwrap().status().as_u16()
        };
        assert_eq!(visit("GET").await, 200);
        assert_eq!(me().await, expected, "a GET, as by a mail scanner, does not confirm the address");
        assert_eq!(visit("POST").await, 200);
        expected["email"] = json!(new);
        assert_eq!(me().await, expected);
        assert_eq!(visit("POST").await, 400, "a link works once");
        drop(server.mailed("A new e-mail address").await);

        let password = async |present: &str, new: &str| {
            let body = json!({"current_password": present, "new_password": new});
            let answer = server.post(&format!("{prefix}/password/"), &who, body).await;
            (answer.status, answer.json)
        };
        for (present, new, refusal) in [
            ("secret-2", "another-1", json!({"detail": "Current password is incorrect"})),
            ("secret-1", "seven-7", json!({"new_password": ["Ensure this field has at least 8 characters."]})),
            (
                "secret-1",
                &*"x".repeat(1025),
                json!({"new_password": ["Ensure this field has no more than 1024 bytes."]}),
            ),
        ] {
            assert_eq!(password(present, new).await, (400, refusal), "{prefix}");
        }
        let name = format!("una{n}");
        assert_eq!(log_in(&name, "secret-1").await.status, 200, "a refused change has no effect");
        let (status, done) = password("secret-1", "another-1").await;
        assert_eq!((status, &done["detail"]), (200, &json!("Password changed successfully")), "{prefix}");
        let fresh = Who::Bearer(done["access"].as_str().unwrap().to_owned());
        assert_eq!(server.get(&format!("{prefix}/me/"), &fresh).await.status, 200);
        assert_eq!(server.get(&format!("{prefix}/me/"), &who).await.status, 401, "all sessions have ended");
        assert_eq!((log_in(&name, "secret-1").await.status, log_in(&name, "another-1").await.status), (401, 200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_the_portal_is_logged_in_after_the_second_step() {
    let server = TestServer::start().await;
    let ada = server.account("Ada Min", "ada@x.test", Role::Admin).await;
    let step = async |step: &str, body: Value| {
        let answer = server.post(&format!("/api/accounts/admin/login/{step}/"), &Who::Nobody, body).await;
        (answer.status, answer.json)
    };
    let first = async |password: &str| step("step1", json!({"username": "ada", "password": password})).await;
    assert_eq!(first("wrong").await, (401, json!({"error": "Invalid credentials"})));
    let mailed = json!({"message": "OTP sent to your email", "user_id": ada.number});
    assert_eq!(first("secret-1").await, (200, mailed));
    let code = server.mailed("log in: ").await;
    let second = async |number: Value, code: Value| step("step2", json!({"user_id": number, "otp_code": code})).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let refused = (400, json!({"error": "Invalid or expired OTP"}));
    assert_eq!(second(json!(ada.number), json!(wrong)).await, refused);
    assert_eq!(second(json!(ada.number + 1), json!(code)).await, refused);
    let missing = (400, json!({"error": "user_id and otp_code are required"}));
    for (number, code) in [(json!(null), json!(code)), (json!(ada.number), json!(null)), (json!([]), json!({}))] {
        assert_eq!(second(number, code).await, missing);
    }
    let (status, tokens) = second(json!(ada.number.to_string()), json!(code)).await;
    assert_eq!((status, keys(&tokens)), (200, vec!["access", "refresh"]), "{tokens}");
    let who = Who::Bearer(tokens["access"].as_str().unwrap().to_owned());
    assert_eq!(server.get("/api/chat/rooms/", &who).await.json, json!([]), "an agent's list, which is still empty");
    assert_eq!(server.get("/api/admin/chat-rooms/", &who).await.status, 200);
    assert_eq!(second(json!(ada.number), json!(code)).await, refused, "used already");
}
