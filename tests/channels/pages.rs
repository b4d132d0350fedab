//! The requests of the storefront's unchanged pages, in their order, and the details on which they depend.

use deskline::domain::Role;
use serde_json::json;

use crate::harness::{Answer, TestServer, Who};

#[tokio::test(flavor = "multi_thread")]
async fn the_panels_health_check_is_answered() {
    let server = TestServer::start().await;
    let ping = server.get("/api/admin/health/ping/", &Who::Nobody).await;
    assert_eq!((ping.status, &ping.json["status"]), (200, &json!("healthy")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_valid_for_its_lifetime() {
    let server = TestServer::start().await;
    server.account("Ada Min", "ada@example.com", Role::Admin).await;
    let body = json!({"username": "ada", "password": "secret-1"});
    let refresh = server.post("/api/auth/login/", &Who::Nobody, body).await.json["refresh"].take();
    for path in ["/api/auth/refresh/", "/api/auth/refresh/", "/api/refresh", "/api/token/refresh/"] {
        let again = server.post(path, &Who::Nobody, json!({"refresh": refresh})).await;
        assert_eq!(again.status, 200, "{path}: {}", again.json);
        assert!(again.json["access"].is_string());
    }
}

async fn first_look(server: &TestServer, method: &str, headers: &[(&str, &str)]) -> Answer {
    let url = format!("http://{}/api/public/chat-rooms/", server.address());
    let request = server.http.request(method.parse().unwrap(), url);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_of_a_page_creates_a_visitors_room_and_that_of_a_crawler_does_not() {
    let server = TestServer::start_with(&["--client-url", "http://shop.test:5173"]).await;
    let own = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")];
    for page in [vec![("origin", "http://shop.test:5173")], own.to_vec()] {
        let first = first_look(&server, "GET", &page).await;
        let room = first.json["results"][0]["id"].clone();
        let session = first.session().expect("a session");
        let again = server.get("/api/public/chat-rooms/", &session).await;
        assert_eq!((&again.json["count"], &again.json["results"][0]["id"]), (&json!(1), &room));
        let send = format!("/api/public/chat-rooms/{}/send_message/", room.as_str().unwrap());
        assert_eq!(server.post(&send, &session, json!({"content": "at the first try"})).await.status, 201);
    }
    let walked = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate")];
    for crawler in [vec![], vec![("origin", "http://elsewhere.test")], walked.to_vec()] {
        let looked = first_look(&server, "GET", &crawler).await;
        assert_eq!((looked.status, &looked.json["count"], &looked.cookie), (200, &json!(0), &None), "{crawler:?}");
    }
    assert_eq!(first_look(&server, "HEAD", &[("origin", "http://shop.test:5173")]).await.cookie, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_see_the_desks_public_name_and_agents_see_who_wrote() {
    for (arguments, name) in [(vec![], "Ada Min"), (vec!["--desk-name", "Shop support"], "Shop support")] {
        let server = TestServer::start_with(&arguments).await;
        server.account("Ada Min", "ada@example.com", Role::Admin).await;
        let bea = server.account("Bea Colleague", "bea@example.com", Role::Agent).await;
        let agent = Who::Bearer(server.token(&bea));
        let (room, owner) = server.visit("Ann").await;
        let mut socket = server.socket(&format!("/ws/chat/{room}/")).await;
        let admin = format!("/api/admin/chat-rooms/{room}/");
        let sent = server.post(&format!("{admin}send_message/"), &agent, json!({"content": "hello"})).await.json;
        assert_eq!(sent["sender_name"], "Bea Colleague (bea@example.com)");
        let seen = server.get(&format!("{admin}get_messages/"), &agent).await.json;
        assert_eq!(seen[0]["sender_name"], "Bea Colleague (bea@example.com)");
        assert_eq!(socket.next_of("chat_message").await["message"]["sender_name"], name);
        let public = format!("/api/public/chat-rooms/{room}/");
        for path in [public.clone(), format!("{public}get_messages/"), "/api/public/chat-rooms/".into()] {
            let shown = server.get(&path, &owner).await.json.to_string();
            assert!(shown.contains(name) && !shown.contains("bea@") && !shown.contains("ada@"), "{path}: {shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_over_rest_marks_the_conversation_as_read() {
    let server = TestServer::start().await;
    let ada = server.account("Ada Min", "ada@example.com", Role::Admin).await;
    let agent = Who::Bearer(server.token(&ada));
    let (room, owner) = server.visit("Ann").await;
    let say = async |path: &str, who: &Who| server.post(path, who, json!({"content": "x"})).await.status;
    assert_eq!(say(&format!("/api/public/chat-rooms/{room}/send_message/"), &owner).await, 201);
    let admin = format!("/api/admin/chat-rooms/{room}/");
    assert_eq!(server.get(&admin, &agent).await.json["unread_count"], 1);
    assert_eq!(say(&format!("{admin}send_message/"), &agent).await, 201);
    let seen = server.get(&admin, &agent).await.json;
    assert_eq!((&seen["unread_count"], &seen["messages"][0]["is_read"]), (&json!(0), &json!(true)));
}

/// The newer page sends the visitor's name with each message, and does not create a room if its first request did.
#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_without_a_name_gets_the_one_sent_with_a_message() {
    let server = TestServer::start_with(&["--client-url", "http://shop.test:5173"]).await;
    let first = first_look(&server, "GET", &[("origin", "http://shop.test:5173")]).await;
    let (room, session) = (first.json["results"][0]["id"].clone(), first.session().unwrap());
    let path = format!("/api/public/chat-rooms/{}/", room.as_str().unwrap());
    let named = |name: &str| json!({"content": "hello", "customer_name": name});
    let send = format!("{path}send_message/");
    assert_eq!(server.post(&send, &Who::Nobody, named("Mallory")).await.json["sender_name"], "Anonymous");
    assert_eq!(server.post(&send, &session, named("Ann Lee")).await.json["sender_name"], "Ann Lee");
    assert_eq!(
        server.post(&send, &session, named("Bob")).await.json["sender_name"],
        "Ann Lee",
        "the visitor has a name by now"
    );
    let shown = server.get(&path, &session).await.json;
    assert_eq!((&shown["customer_name"], &shown["display_name"]), (&json!("Ann Lee"), &json!("Ann Lee")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_does_not_give_a_page_the_room_of_another_customer() {
    let arguments = ["--open-public-rooms", "--client-url", "http://shop.test:5173"];
    let server = TestServer::start_with(&arguments).await;
    let (other, owner) = server.visit("Ann").await;
    let first = first_look(&server, "GET", &[("origin", "http://shop.test:5173")]).await;
    assert_eq!(first.json["count"], 1);
    assert_ne!(first.json["results"][0]["id"], json!(other), "the visitor was shown another customer's room");
    let mine = server.get("/api/public/chat-rooms/", &owner).await.json;
    assert_eq!((&mine["count"], &mine["results"][0]["id"]), (&json!(1), &json!(other)));
    assert_eq!(server.get("/api/public/chat-rooms/", &Who::Nobody).await.json["count"], 2, "a program gets all rooms");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_pages_offer_to_retry() {
    let server = TestServer::start().await;
    let (room, _) = server.visit("Ann").await;
    let mut socket = server.socket(&format!("/ws/chat/{room}/")).await;
    server.stop();
    assert_eq!(socket.end().await, 1012, "after 1001, the pages would do nothing");
}
