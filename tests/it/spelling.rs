//! Requests of the dashboard in other spellings, and behind a proxy that requires a password.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::support::TestServer;

#[tokio::test]
async fn routes_accept_any_letter_case_and_a_final_slash_as_express_does() {
    let server = TestServer::start(&[]).await;
    let admin = server.agent("admin").await;
    let http = Client::new();
    for path in ["/api/chat/unread-count", "/api/chat/unread-count/", "/API/Chat/Unread-Count", "/api/chat/Admin/"] {
        let answer = http.get(format!("{}{path}", server.url)).bearer_auth(&admin.token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let list = format!("{}/api/Chat/Conversations/?limit=x", server.url);
    let answer = http.get(list).bearer_auth(&admin.token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "the query is passed on");
    let log_in = http.post(format!("{}/api/auth/Login", server.url)).body(json!({"email": "x"}).to_string());
    assert_eq!(log_in.send().await.unwrap().status(), StatusCode::BAD_REQUEST, "the request reaches the route");
    for path in ["/api/chat/unread-count", "/API/Chat/Unread-Count"] {
        let answer = http.head(format!("{}{path}", server.url)).bearer_auth(&admin.token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    for nothing in ["/api/chat/unread-count//", "/api/chat/nothing/", "/Api/", "/api/chatter/"] {
        let answer = http.get(format!("{}{nothing}", server.url)).bearer_auth(&admin.token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{nothing}");
    }
}

#[tokio::test]
async fn the_basic_authorization_of_a_proxy_is_not_taken_for_a_token() {
    let server = TestServer::start(&[]).await;
    let ann = server.customer("ann").await;
    let http = Client::new();
    let asked = http.get(format!("{}/api/chat/admin", server.url)).basic_auth("front", Some("door"));
    let refused: Value = serde_json::from_str(&asked.send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(refused["message"], "No token provided");

    // A page behind it connects without a token, and authenticates by an event.
    let polling = format!("{}/socket.io/?EIO=4&transport=polling", server.url);
    let get = |path: &str| http.get(path).basic_auth("front", Some("door")).timeout(Duration::from_secs(10));
    let opened = get(&polling).send().await.unwrap().text().await.unwrap();
    let open: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
    let session = format!("{polling}&sid={}", open["sid"].as_str().unwrap());
    for packet in ["40".to_owned(), format!(r#"42["authenticate","{}"]"#, ann.token)] {
        let sent = http.post(&session).basic_auth("front", Some("door")).body(packet).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
    }
    let mut heard = String::new();
    while !heard.contains(r#""success":true"#) {
        let answer = get(&session).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{heard}");
        heard.push_str(&answer.text().await.unwrap());
        assert!(!heard.contains("44{"), "{heard}");
    }
}
