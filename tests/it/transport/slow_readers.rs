//! Many clients that read a large response a few bytes at a time: they are closed in time, cost a bounded amount of memory, and
//! everybody else is served. `DESKLINE_SLOW_READERS=1000` runs the same with more of them.

use std::time::Duration;

use deskline::domain::Role;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::exchange;
use crate::support::{SOON, ServerProcess, Site, enter};

/// How much the process may grow: the bound on unread responses, those that are being built, and what the allocator has
/// not returned yet.
const GROWTH: usize = 256 << 20;

/// Deadline for closing all of them. Each has 30 seconds to read 16 KiB.
const CLOSED: Duration = Duration::from_secs(150);

#[expect(clippy::disallowed_methods, reason = "a long run is requested by hand")]
fn how_many() -> usize {
    std::env::var("DESKLINE_SLOW_READERS").map_or(60, |readers| readers.parse().unwrap())
}

fn resident(server: &ServerProcess) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// The number of the server's connections, without listening sockets.
fn connections(server: &ServerProcess) -> usize {
    let port = format!(":{:04X}", server.url.rsplit(':').next().unwrap().parse::<u16>().unwrap());
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", server.pid())).unwrap();
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    // The fourth field is the state, 0A where it listens; the tenth is the inode, 0 once no process holds the socket.
    lines.filter(|line| line[1].ends_with(&port) && line[3] != "0A" && line[9] != "0").count()
}

async fn ask(server: &ServerProcess, path: &str, token: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.url.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[expect(clippy::print_stderr, reason = "prints the figures")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_slow_readers_of_a_large_response_are_closed_and_others_are_served() {
    let (site, people) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer)]).await;
    let server = site.start(&["--send-rate", "0"]).await;
    let ann = enter(&server.url, &people[1]).await;
    let ada = people[0].id.to_string();
    for _ in 0..300 {
        let answer = ann.emit_ack("send-message", json!({"receiverId": ada, "message": "x".repeat(19_000)})).await;
        assert_eq!(answer.unwrap()["ok"], true);
    }
    drop(ann);
    let (before, began) = (resident(&server), Instant::now());
    let path = format!("/api/chat/messages/{}?limit=1000", people[1].id);
    let mut readers = Vec::new();
    for _ in 0..how_many() {
        readers.push(ask(&server, &path, &people[0].token).await);
    }
    let (mut most, mut slowest, mut few) = (0, Duration::ZERO, [0; 32]);
    while connections(&server) > 0 {
        assert!(began.elapsed() < CLOSED, "{} are still open", connections(&server));
        for reader in &readers {
            drop(reader.try_read(&mut few));
        }
        let asked = Instant::now();
        let health = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let healthy = timeout(SOON, exchange(&server.url, health)).await.expect("others are not served");
        assert!(healthy.contains("200 OK"), "{healthy}");
        slowest = slowest.max(asked.elapsed());
        most = most.max(resident(&server).saturating_sub(before));
        sleep(Duration::from_millis(300)).await;
    }
    let (readers, grown, took) = (readers.len(), most >> 20, began.elapsed());
    eprintln!(
        "{readers} slow readers: all closed after {took:?}, {grown} MiB more at most, others after {slowest:?} at most"
    );
    assert!(most <= GROWTH, "{grown} MiB for {readers} slow readers");
}
