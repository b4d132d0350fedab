//! Ten thousand frames that nobody should send, and what they do to others: nothing.

use std::time::Duration;

use deskline::domain::Role;
use futures_util::SinkExt as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Socket, TestServer};

const FRAMES: usize = 10_000;

/// One hostile frame. Those that end a connection by right come rarely, so that the others are heard.
fn frame(dice: &mut StdRng) -> Message {
    let text = match dice.random_range(0..16) {
        0 => "{".repeat(dice.random_range(1..500)),
        1 => "[".repeat(dice.random_range(1..20_000)),
        2 => r#"{"type":["#.repeat(200),
        3 => json!([1, "a", null]).to_string(),
        4 => json!({"type": any(dice), "message": any(dice), "content": any(dice)}).to_string(),
        5 => json!({"type": "chat_message", "message": any(dice), "content": any(dice)}).to_string(),
        6 => json!({"type": "admin_message", "room_id": any(dice), "content": any(dice)}).to_string(),
        7 => json!({"type": "read_receipt", "message_id": any(dice)}).to_string(),
        8 => json!({"type": "typing", "is_typing": any(dice)}).to_string(),
        9 => (0..dice.random_range(0..200)).map(|_| dice.random::<char>()).collect(),
        10 => r#"{"type":"chat_message","message":"\ud800","content":"\ud800"}"#.to_owned(),
        11 => json!({"type": "chat_message", "message": "\0", "content": "\0"}).to_string(),
        12 => String::new(),
        13 => return Message::binary((0..dice.random_range(0..300)).map(|_| dice.random()).collect::<Vec<u8>>()),
        14 => return Message::Ping(vec![7; dice.random_range(0..125)].into()),
        _ => return Message::Pong(vec![7; dice.random_range(0..125)].into()),
    };
    Message::text(text)
}

fn any(dice: &mut StdRng) -> Value {
    match dice.random_range(0..9) {
        0 => Value::Null,
        1 => json!(dice.random::<bool>()),
        2 => json!(dice.random::<i64>()),
        3 => json!(dice.random::<f64>()),
        4 => json!(["chat_message", {}]),
        5 => json!({"$ne": null}),
        6 => json!("x".repeat(dice.random_range(0..3000))),
        7 => json!("ping"),
        _ => json!(u64::MAX),
    }
}

async fn attack(server: &TestServer, path: &str, seed: u64, neighbour: &mut Socket) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut attacker = server.socket(path).await;
    for n in 0..FRAMES {
        attacker.0.feed(frame(&mut dice)).await.unwrap();
        if n % 50 == 0 {
            attacker.0.flush().await.unwrap();
            // Reads what has come meanwhile, as an attacker would who wants to stay.
            while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_micros(200), attacker.next_or_end()).await {}
        }
    }
    attacker.0.flush().await.unwrap();
    for ending in [Message::text("x".repeat(2 << 20)), Message::binary(vec![0; 2 << 20])] {
        let mut attacker = server.socket(path).await;
        // The server may have closed it before all is written.
        drop(attacker.0.send(ending).await);
        let code = attacker.end().await;
        assert!([1009, 1006].contains(&code), "{code}");
    }
    for broken in [
        // Not masked; reserved bits; an unknown opcode; a control frame in pieces; a continuation of nothing.
        vec![0x81, 0x02, b'h', b'i'],
        vec![0xF1, 0x80, 0, 0, 0, 0],
        vec![0x83, 0x80, 0, 0, 0, 0],
        vec![0x09, 0x80, 0, 0, 0, 0],
        vec![0x80, 0x80, 0, 0, 0, 0],
        // No UTF-8; a length beyond all bounds.
        vec![0x81, 0x82, 0, 0, 0, 0, 0xFF, 0xFE],
        vec![0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
    ] {
        raw(server, path, &broken).await;
    }
    neighbour.send(json!({"type": "ping"})).await;
    drop(attacker);
}

/// Shakes hands, sends these bytes, and waits for the end.
async fn raw(server: &TestServer, path: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "still open after {bytes:?}");
    assert!(rest.starts_with(b"HTTP/1.1 101"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_frames_harm_nobody_else() {
    let server = TestServer::start_with(&["--send-rate", "0"]).await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let token = server.token(&admin);
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let who = crate::harness::Who::Bearer(server.token(&uma));
    let number = server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].as_u64().unwrap();
    let (attacked, _) = server.visit("Mallory").await;
    let (calm, _) = server.visit("Ann").await;
    let mut neighbour = server.socket(&format!("/ws/chat/{calm}/")).await;
    neighbour.next().await;
    attack(&server, &format!("/ws/chat/{attacked}/"), 1, &mut neighbour).await;
    assert_eq!(neighbour.next().await, json!({"type": "pong"}));
    attack(&server, &format!("/ws/admin/chat/?token={token}"), 2, &mut neighbour).await;
    assert_eq!(neighbour.next().await, json!({"type": "pong"}));
    attack(&server, &format!("/ws/chat/{number}/?token={token}"), 3, &mut neighbour).await;
    assert_eq!(neighbour.next().await, json!({"type": "pong"}));
    neighbour.send(json!({"type": "chat_message", "content": "still well"})).await;
    assert_eq!(neighbour.next_of("chat_message").await["message"]["content"], "still well");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_cut_off_and_others_never_wait() {
    let server = TestServer::start_with(&["--send-rate", "0"]).await;
    let (room, _) = server.visit("Ann").await;
    let path = format!("/ws/chat/{room}/");
    let mut lazy = server.socket(&path).await;
    let mut keen = server.socket(&path).await;
    keen.next().await;
    let text = "x".repeat(19_000);
    for _ in 0..1500 {
        keen.send(json!({"type": "chat_message", "content": text})).await;
        keen.next_of("chat_message").await;
    }
    let mut heard = 0;
    while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_secs(2), lazy.next_or_end()).await {
        heard += 1;
    }
    assert!(heard < 1500, "the one that did not read was cut off");
}
