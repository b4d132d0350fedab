//! Clients that poll too slowly, or stop in the middle of a poll.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::connect;
use crate::support::{Account, SOON, TestServer, number, send_message};

/// A session that is polled by hand, like by a stock client.
pub(super) struct Session {
    http: reqwest::Client,
    base: String,
    pub(super) sid: String,
}

impl Session {
    /// Completes both handshakes.
    pub(super) async fn open(url: &str) -> Self {
        let http = reqwest::Client::builder().user_agent("a browser of the tests").build().unwrap();
        let base = format!("{url}/socket.io/?EIO=4&transport=polling");
        let opened = http.get(&base).send().await.unwrap().text().await.unwrap();
        let sid = opened.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("no session");
        let session = Self { base: format!("{base}&sid={sid}"), sid: sid.to_owned(), http };
        assert_eq!(session.post("40").await, 200);
        session.until(|packet| packet.starts_with("40")).await;
        session
    }

    pub(super) async fn authenticate(&self, account: &Account) {
        assert_eq!(self.post(&format!("42{}", json!(["authenticate", account.token]))).await, 200);
        self.until(|packet| packet.starts_with(r#"42["authenticated""#)).await;
    }

    pub(super) async fn post(&self, packets: &str) -> u16 {
        self.http.post(&self.base).body(packets.to_owned()).send().await.unwrap().status().as_u16()
    }

    /// One poll: its status and its packets.
    pub(super) async fn poll(&self) -> (u16, Vec<String>) {
        let answer = timeout(SOON * 4, self.http.get(&self.base).send()).await.expect("no answer").unwrap();
        let status = answer.status().as_u16();
        (status, answer.text().await.unwrap().split('\u{1e}').map(str::to_owned).collect())
    }

    /// Polls and answers pings until such a packet arrives.
    pub(super) async fn until(&self, is_it: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        while began.elapsed() < SOON {
            let (status, packets) = self.poll().await;
            assert_eq!(status, 200, "{packets:?}");
            if packets.iter().any(|packet| packet == "2") {
                self.post("3").await;
            }
            if let Some(found) = packets.into_iter().find(|packet| is_it(packet)) {
                return found;
            }
        }
        panic!("the packet did not arrive");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_polling_client_loses_its_session_and_is_caught_up() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let slow = Session::open(&server.url).await;
    slow.authenticate(&ada).await;
    let customer = server.enter(&ann).await;
    for _ in 0..100 {
        send_message(&customer, &ada, &"x".repeat(16_000)).await;
    }
    let began = Instant::now();
    let (status, last) = loop {
        let (status, packets) = slow.poll().await;
        assert!(!packets.iter().any(|packet| packet.starts_with("41")), "a stock client would not reconnect");
        if status != 200 || packets.contains(&"1".to_owned()) {
            break (status, packets);
        }
        assert!(began.elapsed() < SOON, "the session is still open");
    };
    assert_eq!(
        (status, last.as_slice()),
        (200, ["1".to_owned()].as_slice()),
        "the session ends without a close packet"
    );
    assert_eq!(slow.post("3").await, 400, "the session is still open");
    assert_eq!(slow.poll().await.0, 400, "the session is still open");
    let back = server.enter(&ada).await;
    for seq in 1..=100 {
        let got = back.wait_for("receive-message", SOON).await.expect("a message is lost");
        assert_eq!(number(&got, "seq"), seq);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_that_is_abandoned_ends_its_session_at_once() {
    let server = TestServer::start(&["--offline-grace", "0s"]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = server.enter(&ada).await;
    let session = Session::open(&server.url).await;
    session.authenticate(&ann).await;
    desk.wait_for("user-online", SOON).await.unwrap();
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={}", session.sid);
    // Only a waiting poll can be abandoned, so pending packets are read first.
    let waiting = loop {
        let mut stream = connect(&server.url).await;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = [0; 4096];
        match timeout(Duration::from_millis(500), stream.read(&mut answer)).await {
            Err(_) => break stream,
            Ok(read) => assert!(answer[..read.unwrap()].starts_with(b"HTTP/1.1 200"), "the session is closed"),
        }
    };
    drop(waiting);
    let gone = desk.wait_for("user-offline", SOON).await.expect("nobody notices");
    assert_eq!(gone["userId"], ann.id.to_string());
    assert_eq!(session.poll().await.0, 400);
}

/// The texts of the messages among these packets.
fn texts(packets: &[String]) -> Vec<String> {
    let message = |packet: &String| {
        let event: serde_json::Value = serde_json::from_str(packet.strip_prefix("42")?).ok()?;
        (event[0] == "receive-message").then(|| event[1]["message"].as_str().unwrap().to_owned())
    };
    packets.iter().filter_map(message).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_returns_at_most_sixteen_packets_and_the_rest_follows_also_on_the_next_session() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let customer = server.enter(&ann).await;
    let sent: Vec<String> = (0..60).map(|n| format!("message {n}")).collect();
    let send_all = async |texts: &[String]| {
        for text in texts {
            send_message(&customer, &ada, text).await;
        }
    };
    let polling = Session::open(&server.url).await;
    polling.authenticate(&ada).await;
    send_all(&sent[..50]).await;
    let mut heard = Vec::new();
    while heard.len() < 50 {
        let (status, packets) = polling.poll().await;
        assert!(status == 200 && packets.len() <= 16, "{status} {}", packets.len());
        if packets.iter().any(|packet| packet == "2") {
            polling.post("3").await;
        }
        heard.extend(texts(&packets));
    }
    assert_eq!(heard, sent[..50]);

    // The client reads a part of one more response and then drops the connection.
    send_all(&sent[50..]).await;
    send_all(&(0..40).map(|n| format!("more {n}")).collect::<Vec<_>>()).await;
    let (_, packets) = polling.poll().await;
    let taken = texts(&packets);
    assert!(!taken.is_empty() && packets.len() <= 16);
    assert_eq!(polling.post("1").await, 200);
    let back = Session::open(&server.url).await;
    back.authenticate(&ada).await;
    let mut again = Vec::new();
    while again.last().is_none_or(|last| last != "more 39") {
        let (status, packets) = back.poll().await;
        assert!(status == 200 && packets.len() <= 16, "{status} {}", packets.len());
        again.extend(texts(&packets));
    }
    let all: Vec<String> = sent[50..].iter().cloned().chain((0..40).map(|n| format!("more {n}"))).collect();
    let missed = &all[taken.len()..];
    assert!(again.ends_with(missed), "a packet that was held back is missing: {again:?}");
}
