//! Bans, made by a command that runs beside the server.

use std::time::{Duration, Instant};

use reqwest::{Client as Http, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{SOON, TestServer, Wire, email_of, run};
use deskline::lab::testkit::socketio::{Client, ClientError};

/// A ban takes effect within half a second. This has a margin for an overloaded machine.
const PATIENCE: Duration = Duration::from_secs(5);

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

async fn ban(server: &TestServer, arguments: &[&str]) -> String {
    let data = server.data();
    let all: Vec<&str> = ["ban", "--data", &data].into_iter().chain(arguments.iter().copied()).collect();
    let output = run(&all).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Polls until the condition holds.
async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) -> Duration {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < PATIENCE, "{what} after {:?}", since.elapsed());
        tokio::task::yield_now().await;
    }
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_banned_address_is_disconnected_and_refused_until_the_ban_is_lifted() {
    let server = TestServer::start(&["--trusted-proxy", "127.0.0.0/8"]).await;
    let http = Http::new();
    let get =
        |path: &str, from: &str| http.get(format!("{}{path}", server.url)).header("x-forwarded-for", from.to_owned());
    let opened = get(POLLING, "192.0.2.7").send().await.unwrap().text().await.unwrap();
    let session: Value = serde_json::from_str(&opened[1..]).unwrap();
    let session = format!("{POLLING}&sid={}", session["sid"].as_str().unwrap());
    // An idle socket: pings are sent only every 25 s.
    drop(get(&session, "192.0.2.7").send().await.unwrap());
    let poll = tokio::spawn(get(&session, "192.0.2.7").send());
    let mut socket = Wire::connect_from(&server.url, "192.0.2.9").await;
    let mut other = Wire::connect_from(&server.url, "198.51.100.1").await;

    let said = ban(&server, &["add", "192.0.2.0/24", "--for", "1h"]).await;
    assert!(said.starts_with("Banned 192.0.2.0/24 until "), "{said}");
    let since = Instant::now();
    assert_eq!(socket.next(SOON).await, None, "the websocket is closed");
    let refused = timeout(SOON, poll).await.unwrap().unwrap().unwrap();
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    for path in [POLLING, "/api/auth/me", "/", "/api/public/chat-rooms/"] {
        let refused = get(path, "192.0.2.200").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path}");
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&wait), "{wait}");
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["code"], "banned", "{path}");
        assert!(body["retryAfterMs"].as_u64().is_some_and(|ms| ms > 3_500_000), "{body}");
    }
    assert_eq!(get(POLLING, "198.51.100.1").send().await.unwrap().status(), StatusCode::OK);
    assert!(
        other.send(r#"42["authenticate","x"]"#).await && other.next(SOON).await.is_some(),
        "others are not affected"
    );

    assert!(ban(&server, &["list"]).await.contains("192.0.2.0/24"));
    ban(&server, &["lift", "192.0.2.0/24"]).await;
    until("accepted again", async || get(POLLING, "192.0.2.7").send().await.unwrap().status() == StatusCode::OK).await;
}

/// It has no pending request at that moment, so only the ban itself can end its session before the ping timeout of 45
/// s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polling_client_from_a_banned_address_goes_offline_at_once() {
    let server = TestServer::start(&["--trusted-proxy", "127.0.0.0/8", "--offline-grace", "100ms"]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = server.enter(&ada).await;
    let http = Http::new();
    let get = |path: &str| http.get(format!("{}{path}", server.url)).header("x-forwarded-for", "192.0.2.7").send();
    let opened = get(POLLING).await.unwrap().text().await.unwrap();
    let opened: Value = serde_json::from_str(&opened[1..]).unwrap();
    let session = format!("{POLLING}&sid={}", opened["sid"].as_str().unwrap());
    let say = async |packet: String| {
        let posted = http.post(format!("{}{session}", server.url)).header("x-forwarded-for", "192.0.2.7").body(packet);
        assert_eq!(posted.send().await.unwrap().status(), StatusCode::OK);
    };
    say("40".into()).await;
    // A client that sends events before CONNECT loses its session.
    while !get(&session).await.unwrap().text().await.unwrap().contains("40{") {}
    say(format!(r#"42["authenticate","{}"]"#, ann.token)).await;
    while desk.wait_for("user-online", SOON).await.unwrap()["userId"] != ann.id.to_string() {}
    ban(&server, &["add", "192.0.2.7", "--for", "1h"]).await;
    assert_eq!(desk.wait_for("user-offline", PATIENCE).await.unwrap()["userId"], ann.id.to_string());

    ban(&server, &["lift", "192.0.2.7"]).await;
    until("accepted again", async || get(POLLING).await.unwrap().status() == StatusCode::OK).await;
    // A stock client reconnects after either of these.
    let answer = get(&session).await.unwrap();
    assert!(answer.status() == StatusCode::BAD_REQUEST || answer.text().await.unwrap() == "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_banned_account_is_treated_like_a_blocked_one() {
    let server = TestServer::start(&[]).await;
    let ann = server.customer("ann").await;
    let live = server.enter(&ann).await;
    ban(&server, &["add", email_of("ann").as_str(), "--for", "1h"]).await;
    let since = Instant::now();
    let (name, event) = loop {
        let (name, event) = live.next_event(PATIENCE).await.unwrap();
        if name == "authenticated" && event["success"] == false {
            break (name, event);
        }
    };
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    assert_eq!((name.as_str(), &event["message"]), ("authenticated", &json!("Account is blocked.")), "{event}");

    let again = Client::connect(&server.url).await.unwrap();
    let answer = again.emit_ack("authenticate", json!({ "token": ann.token })).await.unwrap();
    assert_eq!(answer["code"], "banned", "{answer}");
    assert!(answer["retryAfterMs"].as_u64().is_some_and(|ms| ms > 3_500_000), "{answer}");
    let me =
        Http::new().get(format!("{}/api/chat/conversations", server.url)).bearer_auth(&ann.token).send().await.unwrap();
    assert_eq!(me.status(), StatusCode::UNAUTHORIZED);
    let body: Value = me.json().await.unwrap();
    assert_eq!(body["code"], "banned", "{body}");

    ban(&server, &["lift", email_of("ann").as_str()]).await;
    until("accepted again", async || {
        let client = Client::connect(&server.url).await.unwrap();
        match client.emit_ack("authenticate", json!({ "token": ann.token })).await {
            Ok(answer) => answer["success"] == true,
            Err(ClientError::TimedOut(_) | ClientError::Closed) => false,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}

#[tokio::test]
async fn an_invalid_ban_is_refused_with_a_hint() {
    let server = TestServer::start(&[]).await;
    let data = server.data();
    for (who, why) in [
        ("10.0.0.7", "trusted proxy 10.0.0.0/24"),
        ("127.0.0.1", "this machine"),
        ("0.0.0.0/0", "trusted proxy"),
        ("nobody@x.test", "no account has this address"),
        ("everybody", "cannot tell who"),
        ("6565f0c80000000000000001", "no account and no visitor has the id"),
    ] {
        let output = run(&["ban", "--data", &data, "--trusted-proxy", "10.0.0.0/24", "add", who]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(why), "{who}: {said}");
    }
}
