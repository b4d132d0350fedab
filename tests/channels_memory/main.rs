//! Memory use of an upload. A separate test binary, since it measures the whole process, including the client.
#![cfg(test)]

use bytes::Bytes;
use deskline::domain::Role;
use futures_util::stream;
use reqwest::Body;
use reqwest::multipart::{Form, Part};

#[expect(dead_code, reason = "shared with the channels tests, which use all of it")]
#[path = "../channels/harness.rs"]
mod harness;
#[expect(dead_code, unused_imports, reason = "this suite needs only the server")]
#[path = "../support/mod.rs"]
mod shared;

use harness::{TestServer, Who};

const PIECE: usize = 64 << 10;

/// A picture of this many bytes, generated in chunks.
fn picture(bytes: usize) -> Body {
    let mut head = vec![0; PIECE];
    head[..8].copy_from_slice(b"\x89PNG\r\n\x1a\n");
    let rest = Bytes::from(vec![0; PIECE]);
    let pieces = std::iter::once(Bytes::from(head)).chain(std::iter::repeat_n(rest, bytes / PIECE - 1));
    Body::wrap_stream(stream::iter(pieces.map(Ok::<_, std::io::Error>)))
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

async fn upload(server: &TestServer, token: &str, room: u64, bytes: usize, is_announced: bool) -> reqwest::Response {
    let part = if is_announced {
        Part::stream_with_length(picture(bytes), bytes as u64)
    } else {
        Part::stream(picture(bytes))
    };
    let part = part.file_name("big.png");
    let form = Form::new().text("room_id", room.to_string()).text("message", "look").part("attachment", part);
    let request = server.http.post(format!("http://{}/api/chat/messages/", server.address()));
    request.bearer_auth(token).multipart(form).send().await.unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_a_gibibyte_gets_413_in_constant_memory() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let token = server.token(&uma);
    let who = Who::Bearer(token.clone());
    let room = server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].as_u64().unwrap();
    // Memory that is allocated only once is allocated before the measurement.
    assert_eq!(upload(&server, &token, room, 1 << 20, true).await.status(), 201);
    for is_announced in [true, false] {
        let before = resident();
        let refused = upload(&server, &token, room, 1 << 30, is_announced).await;
        assert_eq!(refused.status(), 413);
        let body: serde_json::Value = serde_json::from_slice(&refused.bytes().await.unwrap()).unwrap();
        assert_eq!(body["error"], "The attachment is larger than 25 MiB");
        let rise = resident().saturating_sub(before);
        assert!(rise <= 16 << 20, "peak memory rose by {} KiB", rise >> 10);
        assert_eq!(server.files(), 1, "only the first one is stored");
    }
}
