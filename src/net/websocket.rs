//! Connections that have become websockets.
//!
//! hyper hands over an upgraded connection as a boxed trait object together with the bytes that it has read too much. A [`Websocket`]
//! is the connection itself, which takes less memory in each future that holds it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::stream::TrackedStream;

/// What a connection holds as long as it is open.
pub(super) type Guard = (Option<OwnedSemaphorePermit>, TaskTrackerToken);

/// The bytes of a connection whose request was answered with 101.
pub struct Websocket {
    stream: Box<TrackedStream<Guard>>,
    /// What the client sent before it received the response.
    early: Option<Box<Bytes>>,
}

impl Websocket {
    /// Waits until the response to the request has been written. `None` if the connection was closed before.
    pub async fn open(upgrade: OnUpgrade) -> Option<Self> {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded.downcast::<TokioIo<TrackedStream<Guard>>>(),
            Err(error) => {
                tracing::debug!(%error, "Could not open a websocket");
                return None;
            }
        };
        let parts =
            upgraded.inspect_err(|_| tracing::error!("A websocket was opened on an unknown connection")).ok()?;
        let early = Some(parts.read_buf).filter(|early| !early.is_empty()).map(Box::new);
        Some(Self { stream: Box::new(parts.io.into_inner()), early })
    }

    /// The response that accepts a handshake with this `Sec-WebSocket-Key`.
    #[must_use]
    pub fn accept(key: &HeaderValue) -> Response {
        let accepted = derive_accept_key(key.as_bytes());
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("Upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accepted).unwrap_or(HeaderValue::from_static(""))),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}

impl AsyncRead for Websocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(early) = &mut self.early else { return Pin::new(&mut *self.stream).poll_read(cx, buf) };
        let length = early.len().min(buf.remaining());
        buf.put_slice(&early.split_to(length));
        if early.is_empty() {
            self.early = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Websocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn what_the_client_sent_too_early_is_read_first() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stream = TrackedStream::new(listener.accept().await.unwrap().0, (None, TaskTracker::new().token()));
        let early = Some(Box::new(Bytes::from_static(b"early ")));
        let mut websocket = Websocket { stream: Box::new(stream), early };
        client.write_all(b"late").await.unwrap();
        let mut read = [0; 10];
        for part in read.chunks_mut(4) {
            websocket.read_exact(part).await.unwrap();
        }
        assert_eq!(&read, b"early late");
        websocket.write_all(b"answer").await.unwrap();
        client.read_exact(&mut read[..6]).await.unwrap();
        assert_eq!(&read[..6], b"answer");
    }
}
