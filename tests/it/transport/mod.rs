//! The transport, tested byte by byte: malformed heads, slow bodies, unread responses, abandoned polls, and failing
//! upgrades to a websocket.
#![cfg(target_os = "linux")]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::SOON;

mod heads;
mod polls;
mod repeated;
mod slow;
mod slow_readers;
mod stop;
mod unread;
mod upgrades;

/// A TCP connection to a server.
async fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends these bytes. Returns what arrives until the server closes the connection, or sends nothing for a moment.
async fn exchange(url: &str, request: &str) -> String {
    let mut stream = connect(url).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut part = vec![0; 16 << 10];
    let mut patience = SOON;
    while let Ok(Ok(count @ 1..)) = timeout(patience, stream.read(&mut part)).await {
        answer.extend_from_slice(&part[..count]);
        patience = Duration::from_millis(200);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
