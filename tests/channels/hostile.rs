//! Ten thousand hostile frames to each dialect do not affect other clients.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::frames::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, ended_with, frame, shake_hands};
use crate::harness::Socket;
use crate::program::Program;

const FRAMES: usize = 10_000;

/// The answer to this shows that the server has read everything before it.
const LAST: &[u8] = b"this was the last one";

/// How much the server's peak memory may grow, in bytes. A message may have 256 KiB.
const RISE: u64 = 24 << 20;

/// Writes something hostile that a connection survives: one frame, or a fragmented message with pings between the
/// fragments. Returns the number of frames.
fn write_one(dice: &mut StdRng, out: &mut Vec<u8>) -> usize {
    let length = dice.random_range(0..125);
    match dice.random_range(0..10) {
        0 => out.extend(frame(BINARY, true, &bytes(dice))),
        1 => out.extend(frame(PING, true, &vec![7; length])),
        2 => out.extend(frame(PONG, true, &vec![7; length])),
        3 => return write_in_pieces(dice, out),
        _ => out.extend(frame(TEXT, true, text(dice).as_bytes())),
    }
    1
}

fn write_in_pieces(dice: &mut StdRng, out: &mut Vec<u8>) -> usize {
    let text = text(dice);
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(dice.random_range(1..64)).take(50).collect();
    out.extend(frame(TEXT, false, b""));
    for piece in &pieces {
        out.extend(frame(CONTINUATION, false, piece));
        out.extend(frame(PING, true, b"between"));
    }
    out.extend(frame(CONTINUATION, true, text.as_bytes().get(pieces.concat().len()..).unwrap_or_default()));
    2 + 2 * pieces.len()
}

fn bytes(dice: &mut StdRng) -> Vec<u8> {
    (0..dice.random_range(0..300)).map(|_| dice.random()).collect()
}

fn text(dice: &mut StdRng) -> String {
    match dice.random_range(0..13) {
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
        _ => String::new(),
    }
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

/// Sends ten thousand frames, and waits until the server has read them all.
async fn flood(address: &str, path: &str, seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed);
    let stream = shake_hands(address, path).await;
    let (mut read, mut write) = stream.into_split();
    let writing = tokio::spawn(async move {
        let (mut frames, mut out) = (0, Vec::new());
        while frames < FRAMES {
            frames += write_one(&mut dice, &mut out);
            if out.len() > 64 << 10 {
                write.write_all(&out).await.unwrap();
                out.clear();
            }
        }
        out.extend(frame(PING, true, LAST));
        write.write_all(&out).await.unwrap();
        write
    });
    let answered = async {
        let (mut said, mut piece) = (Vec::<u8>::new(), vec![0; 64 << 10]);
        while !said.windows(LAST.len()).any(|window| window == LAST) {
            let overlap = said.len().saturating_sub(LAST.len());
            said.drain(..overlap);
            let count = read.read(&mut piece).await.unwrap();
            assert_ne!(count, 0, "the connection was closed");
            said.extend(&piece[..count]);
        }
    };
    timeout(Duration::from_mins(2), answered).await.expect("the server answers in time");
    drop(writing.await.unwrap());
}

/// Bytes that make the server close a connection, and with which code. If it closes while the client still writes, the
/// code may be lost.
fn endings() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let in_pieces = |opcode: u8, piece: usize, count: usize| {
        let mut message = frame(opcode, false, &vec![b'x'; piece]);
        message.extend((0..count).flat_map(|_| frame(CONTINUATION, false, &vec![b'x'; piece])));
        message
    };
    let mut wrongly_masked = frame(TEXT, true, br#"{"type":"ping"}"#);
    wrongly_masked[2] ^= 0x80;
    let mut in_the_middle = frame(TEXT, false, b"{");
    in_the_middle.extend(frame(TEXT, true, b"}"));
    let mut large_before = vec![0x81, 0xFF, 0x7F];
    large_before.extend([0xFF; 11]);
    vec![
        ("not masked", vec![0x81, 0x02, b'h', b'i'], &[1002]),
        ("masked with another key", wrongly_masked, &[1007]),
        ("reserved bits", vec![0xF1, 0x80, 0, 0, 0, 0], &[1002]),
        ("an unknown opcode", vec![0x83, 0x80, 0, 0, 0, 0], &[1002]),
        ("a control frame in pieces", vec![0x09, 0x80, 0, 0, 0, 0], &[1002]),
        ("a ping that is too long", frame(PING, true, &[7; 126]), &[1002]),
        ("a pong that is too long", frame(PONG, true, &[7; 4000]), &[1002]),
        ("a close that is too long", frame(CLOSE, true, &[3; 200]), &[1002]),
        ("a continuation of nothing", frame(CONTINUATION, true, b"x"), &[1002]),
        ("a message within another", in_the_middle, &[1002]),
        ("no UTF-8", frame(TEXT, true, &[0xFF, 0xFE]), &[1007]),
        ("a length beyond all bounds", large_before, &[1009, 1006]),
        ("2 MB of text", frame(TEXT, true, &vec![b'x'; 2 << 20]), &[1009, 1006]),
        ("2 MB of anything", frame(BINARY, true, &vec![0; 2 << 20]), &[1009, 1006]),
        ("2 MB in pieces", in_pieces(TEXT, 4096, 512), &[1009, 1006]),
        ("2 MB in pieces of one byte", in_pieces(BINARY, 1, 1 << 20), &[1009, 1006]),
    ]
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn hostile_frames_do_not_affect_other_clients() {
    let program = Program::start(1, &["--send-rate", "0"]).await;
    let address = program.address();
    let (attacked, calm, number) = (program.visit().await, program.visit().await, program.room_number().await);
    let token = program.token(&program.ada);
    let mut neighbour = Socket::connect(address, &format!("/ws/chat/{calm}/")).await;
    assert_eq!(neighbour.next().await["type"], "room_info");
    let paths = [
        format!("/ws/chat/{attacked}/"),
        format!("/ws/admin/chat/?token={token}"),
        format!("/ws/chat/{number}/?token={token}"),
    ];
    // Memory that is allocated only once is allocated before the measurement.
    for path in &paths {
        flood(address, path, 0).await;
    }
    let before = program.peak();
    for (seed, path) in (1..).zip(&paths) {
        flood(address, path, seed).await;
        for (what, bytes, codes) in endings() {
            let code = ended_with(address, path, &bytes).await;
            assert!(codes.contains(&code), "{path}: {what}: {code}");
        }
        neighbour.send(json!({"type": "ping"})).await;
        assert_eq!(neighbour.next().await, json!({"type": "pong"}), "and nothing else was received");
    }
    neighbour.send(json!({"type": "chat_message", "content": "still well"})).await;
    assert_eq!(neighbour.next_of("chat_message").await["message"]["content"], "still well");
    let rise = program.peak().saturating_sub(before);
    assert!(rise <= RISE, "peak memory rose by {} KiB", rise >> 10);
    assert!(!program.log().contains("panicked"), "{}", program.log());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_does_not_fill_memory_with_pongs() {
    let program = Program::start(1, &[]).await;
    let room = program.visit().await;
    let path = format!("/ws/chat/{room}/");
    let mut neighbour = Socket::connect(program.address(), &path).await;
    neighbour.next().await;
    for path in [path.as_str(), "/socket.io/?EIO=4&transport=websocket"] {
        let mut flooder = shake_hands(program.address(), path).await;
        let before = program.peak();
        let pings = frame(PING, true, &[7; 125]).repeat(1000);
        // It never reads, so in the end it cannot write any more, because the server has stopped reading.
        let mut written = 0;
        while written < 1_000_000
            && let Ok(sent) = timeout(Duration::from_secs(2), flooder.write_all(&pings)).await
        {
            written += 1000;
            if sent.is_err() {
                break;
            }
        }
        assert!(written < 1_000_000, "{path}: the server listens for ever");
        neighbour.send(json!({"type": "ping"})).await;
        assert_eq!(neighbour.next_of("pong").await, json!({"type": "pong"}));
        let rise = program.peak().saturating_sub(before);
        assert!(rise <= RISE, "{path}: peak memory rose by {} KiB after {written} pings", rise >> 10);
    }
}

/// Messages to a client that does not read: more than the server and the kernel buffer for it.
#[cfg(target_os = "linux")]
const SAID: usize = 150;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_disconnected_and_delays_nobody() {
    let program = Program::start(1, &["--send-rate", "0"]).await;
    let (address, room, number) = (program.address(), program.visit().await, program.room_number().await);
    let token = program.token(&program.ada);
    for (path, word) in
        [(format!("/ws/chat/{room}/"), "content"), (format!("/ws/chat/{number}/?token={token}"), "message")]
    {
        let cut_off = || program.log().matches("Closed a connection that reads too slowly").count();
        let (before, cut_off_before) = (program.peak(), cut_off());
        let mut lazy = Socket::connect(address, &path).await;
        let mut keen = Socket::connect(address, &path).await;
        keen.next().await;
        // Messages as long as possible: with more of them, on a slow disk, the kernel's timeout could close the
        // connection first.
        let text = "🙂".repeat(19_000);
        for _ in 0..SAID {
            keen.send(json!({"type": "chat_message", word: text})).await;
            keen.next_of("chat_message").await;
        }
        assert_eq!(cut_off(), cut_off_before + 1, "{}", program.log());
        let mut heard = 0;
        while let Ok(Ok(_)) = timeout(Duration::from_secs(2), lazy.next_or_end()).await {
            heard += 1;
        }
        assert!(heard < SAID, "the client that did not read was disconnected");
        let rise = program.peak().saturating_sub(before);
        assert!(rise <= RISE, "peak memory rose by {} KiB", rise >> 10);
    }
}
