//! A TCP stream that can be ended from outside, and that does not listen to a peer which does not listen itself.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Ends the connection on which a request came.
#[derive(Debug, Clone)]
pub struct HangUp(Weak<TcpStream>);

impl HangUp {
    /// Ends it at once: what is buffered is lost, and both ends see it closed.
    pub fn now(&self) {
        if let Some(stream) = self.0.upgrade()
            && let Err(error) = SockRef::from(&*stream).shutdown(Shutdown::Both)
        {
            tracing::debug!(%error, "A connection was closed already");
        }
    }
}

/// How many bytes more than it takes a peer may send while something waits for it: what it sends makes answers (a ping its
/// pong), and those would pile up in memory.
const AHEAD: usize = 256 << 10;

/// The stream itself, and what shall live as long as it, also after a websocket has taken it over.
pub(super) struct Shared<G> {
    stream: Arc<TcpStream>,
    _guard: G,
    /// The last write had to wait.
    has_unsent: bool,
    /// How many bytes more were read than written while something waited.
    ahead: usize,
}

impl<G> Shared<G> {
    pub(super) fn new(stream: TcpStream, guard: G) -> Self {
        Self { stream: Arc::new(stream), _guard: guard, has_unsent: false, ahead: 0 }
    }

    pub(super) fn hang_up(&self) -> HangUp {
        HangUp(Arc::downgrade(&self.stream))
    }
}

impl<G: Unpin> AsyncRead for Shared<G> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_unsent && self.ahead >= AHEAD {
            ready!(self.stream.poll_write_ready(cx))?;
        }
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    if self.has_unsent {
                        self.ahead = self.ahead.saturating_add(count);
                    }
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<G: Unpin> AsyncWrite for Shared<G> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write_with(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_with(cx, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match SockRef::from(&*self.stream).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            Ok(()) | Err(_) => Poll::Ready(Ok(())),
        }
    }
}

impl<G> Shared<G> {
    fn write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let is_ready = self.stream.poll_write_ready(cx);
            self.has_unsent = is_ready.is_pending();
            ready!(is_ready)?;
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.ahead = self.ahead.saturating_sub(*result.as_ref().unwrap_or(&0));
                    return Poll::Ready(result);
                }
            }
        }
    }
}
