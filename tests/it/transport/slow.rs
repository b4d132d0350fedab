//! Connections with slow bodies, and with responses that are hardly read, are closed in time, and others are served
//! meanwhile. docs/RELIABILITY.md has figures for a thousand connections.

use std::time::Duration;

use deskline::domain::Role;
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep, timeout};

use super::{connect, exchange};
use crate::support::{SOON, Site, TestServer, enter};

/// Deadline of a body, and how much later a busy machine may notice.
const BODY: Duration = Duration::from_secs(15);
const SLACK: Duration = Duration::from_secs(15);

/// Deadline for reading a part of a response.
const READING: Duration = Duration::from_secs(30);

/// Sends a head, then a byte each half a second. Returns after what time the server closed the connection, and its
/// response.
async fn drip(url: &str, head: String) -> (Duration, String) {
    let began = Instant::now();
    let (mut read, mut write) = connect(url).await.into_split();
    write.write_all(head.as_bytes()).await.unwrap();
    let dripping = async {
        while write.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(500)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut said = String::new();
    let reading = async { drop(read.read_to_string(&mut said).await) };
    let closed = async {
        tokio::select! {
            () = reading => {}
            () = dripping => {}
        }
    };
    let is_closed = timeout(BODY + SLACK, closed).await.is_ok();
    assert!(is_closed, "still open after {:?}: {head}", began.elapsed());
    (began.elapsed(), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_body_is_closed_after_fifteen_seconds_and_others_are_served_meanwhile() {
    let server = TestServer::start(&[]).await;
    let opened = exchange(&server.url, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let sid = opened.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("no session");
    let paths = [
        "/api/auth/login".to_owned(),
        format!("/socket.io/?EIO=4&transport=polling&sid={sid}"),
        "/api/chat/send".to_owned(),
    ];
    let heads = (0..30).map(|n| {
        let path = &paths[n % paths.len()];
        // Only real uploads have the longer deadline, not requests that claim to be one.
        let kind = if n % 2 == 0 { "application/json" } else { "multipart/form-data; boundary=b" };
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: 4096\r\n\r\n")
    });
    let dripping = join_all(heads.map(|head| drip(&server.url, head)));
    let healthy = async {
        for _ in 0..20 {
            let asked = Instant::now();
            let answer = exchange(&server.url, "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
            assert!(answer.contains("200 OK") && asked.elapsed() < SOON, "{answer}");
            sleep(Duration::from_millis(500)).await;
        }
    };
    let (dripped, ()) = tokio::join!(dripping, healthy);
    for (took, said) in &dripped[..1] {
        assert!(*took >= BODY && said.contains(" 408 "), "{took:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_hardly_read_is_aborted() {
    let (site, people) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer)]).await;
    let server = site.start(&["--send-rate", "0"]).await;
    let ann = enter(&server.url, &people[1]).await;
    let ada = people[0].id.to_string();
    for _ in 0..400 {
        let answer = ann.emit_ack("send-message", json!({"receiverId": ada, "message": "x".repeat(19_000)})).await;
        assert_eq!(answer.unwrap()["ok"], true);
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let (path, token) = (format!("/api/chat/messages/{}?limit=1000", people[1].id), &people[0].token);
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let began = Instant::now();
    let mut few = [0; 32];
    let mut read = 0;
    // The kernel's table shows at once that the server has closed it, however much is still unread.
    while stream.read_exact(&mut few).await.is_ok() && stream.take_error().unwrap().is_none() {
        read += few.len();
        assert!(began.elapsed() < READING * 2 + SLACK, "still sent after {read} bytes");
        // The table is not read atomically, and may lack a line.
        if server_has_let_go(&server, &stream) && server_has_let_go(&server, &stream) {
            return assert!(began.elapsed() >= READING / 2, "closed at once");
        }
        sleep(Duration::from_millis(500)).await;
    }
    assert!(began.elapsed() >= READING / 2, "closed at once, after {read} bytes");
}

/// Whether the server has closed its end of a connection.
fn server_has_let_go(server: &crate::support::ServerProcess, stream: &tokio::net::TcpStream) -> bool {
    let port = format!(":{:04X}", stream.local_addr().unwrap().port());
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", server.pid())).unwrap();
    let line = table.lines().find(|line| line.split_whitespace().nth(2).is_some_and(|peer| peer.ends_with(&port)));
    // The tenth field is the inode, which is 0 when no process has the socket open.
    line.is_none_or(|line| line.split_whitespace().nth(9) == Some("0"))
}
