//! Limits of unauthenticated sessions, and which client a session accepts.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use crate::support::TestServer;

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// Unauthenticated sessions of one address.
const UNCLAIMED: usize = 1000;

struct Door {
    url: String,
    http: Client,
}

impl Door {
    fn of(server: &TestServer) -> Self {
        Self { url: server.url.clone(), http: Client::new() }
    }

    /// A request from this address.
    fn get(&self, path: &str, from: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.url)).header("x-forwarded-for", from)
    }

    fn post(&self, path: &str, from: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url)).header("x-forwarded-for", from)
    }

    async fn handshake(&self, from: &str, token: Option<&str>) -> Response {
        let asked = self.get(POLLING, from);
        let asked = if let Some(token) = token { asked.bearer_auth(token) } else { asked };
        asked.send().await.unwrap()
    }

    /// Opens a session. Returns the path of its requests.
    async fn open(&self, from: &str, token: Option<&str>) -> String {
        let answer = self.handshake(from, token).await;
        assert_eq!(answer.status(), 200);
        session(&answer.text().await.unwrap())
    }
}

fn session(opened: &str) -> String {
    let open: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
    format!("{POLLING}&sid={}", open["sid"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_handshakes_takes_only_the_slots_of_its_own_address() {
    let server = TestServer::start(&["--trusted-proxy", "127.0.0.0/8"]).await;
    let (door, ann) = (Door::of(&server), server.customer("ann").await);
    let began = Instant::now();
    let first = door.open("192.0.2.1", None).await;
    let opened = stream::iter(1..UNCLAIMED).map(|_| door.handshake("192.0.2.1", None)).buffer_unordered(50);
    assert!(opened.all(|answer| async move { answer.status() == 200 }).await);

    // A place becomes free when the oldest session has been silent for long enough, not before.
    let next = door.handshake("192.0.2.1", None);
    let asked = Instant::now();
    let others = async {
        door.open("192.0.2.1", Some(&ann.token)).await;
        door.open("192.0.2.2", None).await;
        asked.elapsed()
    };
    let (next, others_took) = tokio::join!(next, others);
    assert!(others_took < Duration::from_secs(2), "{others_took:?} for others, and for who shows a token");
    assert_eq!(next.status(), 200);
    assert!(began.elapsed() >= Duration::from_secs(5), "the oldest session was closed after {:?}", began.elapsed());
    assert_eq!(door.get(&first, "192.0.2.1").send().await.unwrap().status(), 400, "the oldest session is closed");
}

#[tokio::test]
async fn handshakes_beyond_the_rate_of_an_address_get_a_retry_time() {
    let server = TestServer::start(&["--limit", "handshakes=2/1m"]).await;
    let (door, ann) = (Door::of(&server), server.customer("ann").await);
    for _ in 0..2 {
        door.open("192.0.2.1", None).await;
    }
    let refused = door.handshake("192.0.2.1", None).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!(body["code"], "rate_limited");
    door.open("192.0.2.1", Some(&ann.token)).await;
}

#[tokio::test]
async fn a_session_accepts_requests_of_its_own_client_only() {
    let server = TestServer::start(&["--trusted-proxy", "127.0.0.0/8"]).await;
    let (door, ann, bob) = (Door::of(&server), server.customer("ann").await, server.customer("bob").await);
    let status = async |request: RequestBuilder| request.send().await.unwrap().status().as_u16();

    let with_token = door.open("192.0.2.1", Some(&ann.token)).await;
    for stranger in ["192.0.2.1", "192.0.2.9"] {
        assert_eq!(status(door.get(&with_token, stranger)).await, 400);
        assert_eq!(status(door.get(&with_token, stranger).bearer_auth(&bob.token)).await, 400);
        assert_eq!(status(door.post(&with_token, stranger).body("1")).await, 400);
        let upgrade = with_token.replace("polling", "websocket");
        let upgrade = door.get(&upgrade, stranger).bearer_auth(&bob.token).header("upgrade", "websocket");
        assert_eq!(status(upgrade.header("connection", "upgrade")).await, 400);
    }
    // The same token from another network, as when a phone changes networks.
    assert_eq!(status(door.post(&with_token, "192.0.2.9").bearer_auth(&ann.token).body("40")).await, 200);
    // The session is not affected. A ping may come before the answer.
    loop {
        let greeted = door.get(&with_token, "192.0.2.1").bearer_auth(&ann.token).send().await.unwrap();
        assert_eq!(greeted.status(), 200);
        if greeted.text().await.unwrap().contains("40{") {
            break;
        }
    }

    let without = door.open("192.0.2.1", None).await;
    assert_eq!(status(door.post(&without, "192.0.2.9").body("1")).await, 400);
    assert_eq!(status(door.post(&without, "192.0.2.9").bearer_auth(&ann.token).body("1")).await, 400);
    assert_eq!(status(door.post(&without, "192.0.2.1").body("40")).await, 200);
    let authenticate = format!(r#"42["authenticate","{}"]"#, ann.token);
    assert_eq!(status(door.post(&without, "192.0.2.1").body(authenticate)).await, 200);
    assert_eq!(status(door.get(&without, "192.0.2.9")).await, 400, "a client without the token cannot use the session");
    assert_eq!(status(door.get(&without, "192.0.2.1")).await, 200);
}
