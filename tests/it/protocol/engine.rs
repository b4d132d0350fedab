//! Engine.IO 4.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

use futures_util::SinkExt as _;

use super::{Echo, PATIENT, SEPARATOR, is_refused};
use crate::support::SOON;
use deskline::net::Heartbeat;

const POLLING: &str = "/engine.io/?EIO=4&transport=polling";
const WEBSOCKET: &str = "/engine.io/?EIO=4&transport=websocket";

/// The content of an open packet.
fn opened(packet: &str) -> Value {
    serde_json::from_str(packet.strip_prefix('0').expect("not an open packet")).unwrap()
}

/// Opens a session by polling. Returns its id.
async fn open(echo: &Echo) -> String {
    let (status, body) = echo.get(POLLING).await;
    assert_eq!(status, 200);
    opened(&body)["sid"].as_str().unwrap().to_owned()
}

fn session(sid: &str) -> String {
    format!("{POLLING}&sid={sid}")
}

/// Polls until a packet is not a ping; pings are answered. `None` if the session is closed.
async fn poll(echo: &Echo, sid: &str) -> Option<Vec<String>> {
    loop {
        let (status, body) = echo.get(&session(sid)).await;
        if status != 200 {
            return None;
        }
        let (pings, packets): (Vec<_>, Vec<_>) =
            body.split(SEPARATOR).map(str::to_owned).partition(|packet| packet == "2");
        if !pings.is_empty() {
            echo.post(&session(sid), "3").await;
        }
        if !packets.is_empty() {
            return Some(packets);
        }
    }
}

#[tokio::test]
async fn a_handshake_has_the_parameters_of_the_session() {
    let echo = Echo::start(PATIENT).await;
    let mut open = opened(&echo.get(POLLING).await.1);
    assert!(open["sid"].take().as_str().is_some_and(|sid| !sid.is_empty()));
    let rest = |upgrades: Value| {
        json!({
            "sid": null, "upgrades": upgrades, "pingInterval": 300, "pingTimeout": 20_000, "maxPayload": 1_000_000
        })
    };
    assert_eq!(open, rest(json!(["websocket"])));
    let mut open = opened(&echo.websocket(WEBSOCKET).await.unwrap().text().await);
    open["sid"].take();
    assert_eq!(open, rest(json!([])), "a websocket has no upgrades");
}

#[tokio::test]
async fn malformed_handshakes_and_unknown_sessions_are_refused() {
    let echo = Echo::start(PATIENT).await;
    for path in [
        "/engine.io/?transport=polling",
        "/engine.io/?EIO=abc&transport=polling",
        "/engine.io/?EIO=4",
        "/engine.io/?EIO=4&transport=abc",
        "/engine.io/?EIO=4&transport=polling&sid=abc",
        "/engine.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA",
    ] {
        assert_eq!(echo.get(path).await.0, 400, "GET {path}");
        assert_eq!(echo.post(path, "4hello").await, 400, "POST {path}");
    }
    for path in [
        "/engine.io/?transport=websocket",
        "/engine.io/?EIO=abc&transport=websocket",
        "/engine.io/?EIO=4",
        "/engine.io/?EIO=4&transport=abc",
        "/engine.io/?EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAA",
    ] {
        assert!(is_refused(echo.websocket(path).await).await, "{path}");
    }
}

#[tokio::test]
async fn packets_arrive_in_order_both_ways_by_polling() {
    let echo = Echo::start(PATIENT).await;
    let sid = open(&echo).await;
    assert_eq!(echo.post(&session(&sid), format!("4a{SEPARATOR}4b{SEPARATOR}bAQIDBA==")).await, 200);
    let mut packets = Vec::new();
    while packets.len() < 3 {
        packets.extend(poll(&echo, &sid).await.unwrap());
    }
    assert_eq!(packets, ["4a", "4b", "bAQIDBA=="]);
}

#[tokio::test]
async fn packets_arrive_both_ways_by_websocket() {
    let echo = Echo::start(PATIENT).await;
    let mut wire = echo.websocket(WEBSOCKET).await.unwrap();
    wire.text().await;
    wire.send("4hello").await;
    assert_eq!(wire.text().await, "4hello");
    wire.0.send(Message::binary(vec![1, 2, 3, 4])).await.unwrap();
    assert_eq!(wire.next().await.unwrap().into_data(), [1, 2, 3, 4].as_slice());
}

#[tokio::test]
async fn a_malformed_or_too_long_packet_ends_the_session() {
    let echo = Echo::start(PATIENT).await;
    for wrong in ["abc".to_owned(), format!("4{}", "x".repeat(1_000_001))] {
        let sid = open(&echo).await;
        assert!(echo.post(&session(&sid), wrong.clone()).await >= 400);
        let mut wire = echo.websocket(WEBSOCKET).await.unwrap();
        wire.text().await;
        wire.send(&wrong).await;
        assert!(wire.is_closed().await);
    }
}

#[tokio::test]
async fn a_client_ends_its_session_by_a_packet() {
    let echo = Echo::start(PATIENT).await;
    let sid = open(&echo).await;
    assert_eq!(echo.post(&session(&sid), "1").await, 200);
    assert_eq!(echo.get(&session(&sid)).await.0, 400);
    let mut wire = echo.websocket(WEBSOCKET).await.unwrap();
    wire.text().await;
    wire.send("1").await;
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn pings_are_sent_regularly_and_a_client_that_does_not_answer_is_disconnected() {
    let echo = Echo::start(PATIENT).await;
    let mut wire = echo.websocket(WEBSOCKET).await.unwrap();
    wire.text().await;
    for _ in 0..4 {
        let ping = futures_util::StreamExt::next(&mut wire.0);
        let ping = tokio::time::timeout(SOON, ping).await.unwrap().unwrap().unwrap();
        assert_eq!(ping.into_text().unwrap().as_str(), "2");
        wire.send("3").await;
    }

    let hasty = Heartbeat { interval: Duration::from_millis(300), timeout: Duration::from_millis(200) };
    let echo = Echo::start(hasty).await;
    let sid = open(&echo).await;
    let mut wire = echo.websocket(WEBSOCKET).await.unwrap().0;
    let began = Instant::now();
    let closed = async { while let Some(Ok(_)) = futures_util::StreamExt::next(&mut wire).await {} };
    tokio::time::timeout(SOON, closed).await.expect("the session stays open without a pong");
    assert!(began.elapsed() >= hasty.timeout, "{:?}", began.elapsed());
    while echo.get(&session(&sid)).await.0 == 200 {
        assert!(began.elapsed() < SOON, "the session stays open without a pong");
    }
}

#[tokio::test]
async fn a_session_upgrades_to_a_websocket_and_continues_there() {
    let echo = Echo::start(PATIENT).await;
    let sid = open(&echo).await;
    // Reads the first ping, so that no later poll gets it.
    let _first = echo.get(&session(&sid)).await;
    echo.post(&session(&sid), "3").await;
    let mut wire = echo.websocket(&format!("{WEBSOCKET}&sid={sid}")).await.unwrap();
    wire.send("2probe").await;
    assert_eq!(wire.text().await, "3probe");
    wire.send("5").await;
    wire.send("4hello").await;
    assert_eq!(wire.text().await, "4hello");
    assert_eq!(echo.get(&session(&sid)).await.0, 400, "polls are refused after the upgrade");
    let second = echo.websocket(&format!("{WEBSOCKET}&sid={sid}")).await;
    assert!(is_refused(second).await, "a second websocket is refused");
    wire.send("4still there").await;
    assert_eq!(wire.text().await, "4still there");
}
