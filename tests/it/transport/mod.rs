//! What carries requests and sockets, spoken to byte by byte: heads that are no heads, bodies that drip, answers that nobody
//! reads, polls that are abandoned, and changes to a websocket that fail.
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

/// Sends these bytes; gives what comes until the server closes, or has said nothing more for a moment.
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
