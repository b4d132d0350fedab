//! A TCP stream that can be ended from outside, and that does not listen to a peer which does not listen itself.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Ends the connection on which a request came.
#[derive(Debug, Clone)]
pub struct HangUp(Weak<Ends>);

/// What both the connection and whoever may end it look at.
#[derive(Debug)]
struct Ends {
    stream: TcpStream,
    /// The last write had to wait.
    has_unsent: AtomicBool,
}

impl HangUp {
    /// Ends it at once: what is buffered is lost, and both ends see it closed.
    pub fn now(&self) {
        if let Some(ends) = self.0.upgrade()
            && let Err(error) = SockRef::from(&ends.stream).shutdown(Shutdown::Both)
        {
            tracing::debug!(%error, "A connection was closed already");
        }
    }

    /// Whether something waits to be sent because the peer takes nothing at present.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.0.upgrade().is_some_and(|ends| ends.has_unsent.load(Ordering::Relaxed))
    }
}

/// How many bytes more than it takes a peer may send while something waits for it: what it sends makes answers (a ping its
/// pong), and those would pile up in memory.
const AHEAD: usize = 256 << 10;

/// The stream itself, and what shall live as long as it, also after a websocket has taken it over.
pub(super) struct Shared<G> {
    ends: Arc<Ends>,
    _guard: G,
    /// How many bytes more were read than written while something waited.
    ahead: usize,
}

impl<G> Shared<G> {
    pub(super) fn new(stream: TcpStream, guard: G) -> Self {
        let ends = Ends { stream, has_unsent: AtomicBool::new(false) };
        Self { ends: Arc::new(ends), _guard: guard, ahead: 0 }
    }

    pub(super) fn hang_up(&self) -> HangUp {
        HangUp(Arc::downgrade(&self.ends))
    }
}

impl<G: Unpin> AsyncRead for Shared<G> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_unsent() && self.ahead >= AHEAD {
            ready!(self.ends.stream.poll_write_ready(cx))?;
        }
        loop {
            ready!(self.ends.stream.poll_read_ready(cx))?;
            match self.ends.stream.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    if self.has_unsent() {
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
        match SockRef::from(&self.ends.stream).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            Ok(()) | Err(_) => Poll::Ready(Ok(())),
        }
    }
}

impl<G> Shared<G> {
    fn has_unsent(&self) -> bool {
        self.ends.has_unsent.load(Ordering::Relaxed)
    }

    fn write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let is_ready = self.ends.stream.poll_write_ready(cx);
            self.ends.has_unsent.store(is_ready.is_pending(), Ordering::Relaxed);
            ready!(is_ready)?;
            match write(&self.ends.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.ahead = self.ahead.saturating_sub(*result.as_ref().unwrap_or(&0));
                    return Poll::Ready(result);
                }
            }
        }
    }
}
