//! Limits of expensive requests.

use serde_json::{Value, json};

use crate::support::TestServer;

#[tokio::test]
async fn an_address_over_its_limit_gets_a_retry_time_and_others_are_served() {
    let flags = ["--limit", "registrations=3/1m,mails=5/1m,rooms=2/1m", "--trusted-proxy", "127.0.0.0/8"];
    let server = TestServer::start(&flags).await;
    let http = reqwest::Client::new();
    let ask = async |path: &str, from: &str, body: Value| {
        let asked = http.post(format!("{}{path}", server.url)).header("x-forwarded-for", from);
        asked.body(body.to_string()).send().await.unwrap()
    };
    for (path, allowed) in [("/api/auth/register", 3), ("/api/public/chat-rooms/", 2)] {
        for n in 0..allowed {
            let body = json!({"name": "N", "email": format!("n{n}@x.test"), "password": "secret1"});
            let answer = ask(path, "192.0.2.1", body).await;
            assert!(answer.status().is_success(), "{path} {}", answer.status());
        }
        let refused = ask(path, "192.0.2.1", json!({})).await;
        assert_eq!(refused.status(), 429, "{path}");
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
        assert_eq!(body["code"], "rate_limited");
        assert!((1..=60).contains(&wait) && body["retryAfterMs"].as_u64().unwrap() <= wait * 1000, "{body}");
        // Addresses to the left of the client's own one in the header may be forged.
        assert_eq!(ask(path, "198.51.100.1, 192.0.2.1", json!({})).await.status(), 429, "{path}");
        assert_ne!(ask(path, "192.0.2.2", json!({})).await.status(), 429, "{path}");
    }
}

#[tokio::test]
async fn a_header_of_an_untrusted_peer_is_ignored() {
    let server = TestServer::start(&["--limit", "rooms=2/1m"]).await;
    let http = reqwest::Client::new();
    let mut answers = Vec::new();
    for n in 0..4 {
        let asked = http.post(format!("{}/api/public/chat-rooms/", server.url));
        let asked =
            asked.header("x-forwarded-for", format!("192.0.2.{n}")).header("forwarded", format!("for=192.0.2.{n}"));
        answers.push(asked.send().await.unwrap().status().as_u16());
    }
    assert_eq!(answers, [201, 201, 429, 429]);
}

#[tokio::test]
async fn searches_and_uploads_are_limited_by_person_on_any_address() {
    let flags = ["--limit", "person-searches=2/1m,person-uploads=1/1m", "--trusted-proxy", "127.0.0.0/8"];
    let server = TestServer::start(&flags).await;
    let (ada, eve) = (server.agent("ada").await, server.agent("eve").await);
    let http = reqwest::Client::new();
    let search = async |token: &str, from: &str| {
        let asked = http.get(format!("{}/api/admin/chat-rooms/?search=x", server.url)).bearer_auth(token);
        asked.header("x-forwarded-for", from).send().await.unwrap().status().as_u16()
    };
    let upload = async |token: &str, from: &str| {
        let asked = http.post(format!("{}/api/chat/messages/", server.url)).bearer_auth(token);
        let form = reqwest::multipart::Form::new().text("message", "x");
        asked.header("x-forwarded-for", from).multipart(form).send().await.unwrap().status().as_u16()
    };
    for from in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(search(&ada.token, from).await, 200);
    }
    assert_eq!(search(&ada.token, "192.0.2.3").await, 429);
    assert_eq!(search(&eve.token, "192.0.2.3").await, 200, "somebody else behind the same address");
    assert_ne!(upload(&ada.token, "192.0.2.1").await, 429);
    assert_eq!(upload(&ada.token, "192.0.2.2").await, 429);
    assert_ne!(upload(&eve.token, "192.0.2.2").await, 429);
}

#[tokio::test]
async fn pages_of_unknown_visitors_are_limited_since_each_opens_a_room() {
    let server = TestServer::start(&["--limit", "rooms=2/1m", "--trusted-proxy", "127.0.0.0/8"]).await;
    let http = reqwest::Client::new();
    let url = format!("{}/api/public/chat-rooms/", server.url);
    let open = async |cookie: Option<&str>| {
        let asked = http.get(&url).header("sec-fetch-site", "same-origin").header("x-forwarded-for", "192.0.2.1");
        let asked = cookie.into_iter().fold(asked, |asked, cookie| asked.header("cookie", cookie));
        asked.send().await.unwrap()
    };
    let opened = open(None).await;
    assert_eq!(opened.status(), 200);
    let cookie = opened.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(open(Some("sessionid=made-up")).await.status(), 200);
    for cookie in [None, Some("sessionid=made-up")] {
        assert_eq!(open(cookie).await.status(), 429, "{cookie:?}");
    }
    for _ in 0..3 {
        assert_eq!(open(Some(&cookie)).await.status(), 200, "a visitor who is known opens none");
    }
}
