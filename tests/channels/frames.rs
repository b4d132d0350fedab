//! Websocket frames made by hand, as no client library would send them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the server may take to close a connection.
const END: Duration = Duration::from_secs(10);

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The mask of all frames made here.
const MASK: [u8; 4] = [0x5A, 0xC3, 0x0F, 0x99];

/// A masked frame, as clients have to send.
pub(crate) fn frame(opcode: u8, is_last: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode | if is_last { 0x80 } else { 0 }];
    match u16::try_from(payload.len()) {
        Ok(length @ ..126) => frame.push(0x80 | u8::try_from(length).unwrap()),
        Ok(length) => {
            frame.push(0x80 | 0x7E);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 0x7F);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Opens a connection and completes the handshake.
pub(crate) async fn shake_hands(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stream
}

/// The code with which the server closes a connection on which these bytes were sent.
pub(crate) async fn ended_with(address: &str, path: &str, bytes: &[u8]) -> u16 {
    let mut stream = shake_hands(address, path).await;
    let (mut read, mut write) = stream.split();
    let mut said = Vec::new();
    // The server may close it before everything is written, and then unread bytes from it are lost.
    let talk = async { tokio::join!(write.write_all(bytes), read.read_to_end(&mut said)) };
    assert!(timeout(END, talk).await.is_ok(), "still open");
    close_code(&said).unwrap_or(1006)
}

/// The code of the close frame in these frames of a server.
fn close_code(mut said: &[u8]) -> Option<u16> {
    loop {
        let (opcode, length) = (*said.first()? & 0x0F, usize::from(*said.get(1)?));
        let (head, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes(said.get(2..4)?.try_into().ok()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(said.get(2..10)?.try_into().ok()?)).ok()?),
            short => (2, short),
        };
        if opcode == CLOSE {
            return said.get(2..4).map_or(Some(1005), |code| Some(u16::from_be_bytes(code.try_into().unwrap())));
        }
        said = said.get(head + length..)?;
    }
}
