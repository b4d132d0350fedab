//! A TCP stream that can be ended from outside.

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

/// The stream itself, and what shall live as long as it, also after a websocket has taken it over.
pub(super) struct Shared<G>(Arc<TcpStream>, G);

impl<G> Shared<G> {
    pub(super) fn new(stream: TcpStream, guard: G) -> Self {
        Self(Arc::new(stream), guard)
    }

    pub(super) fn hang_up(&self) -> HangUp {
        HangUp(Arc::downgrade(&self.0))
    }
}

impl<G: Unpin> AsyncRead for Shared<G> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
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
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write_with(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
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
        match SockRef::from(&*self.0).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            Ok(()) | Err(_) => Poll::Ready(Ok(())),
        }
    }
}

impl<G> Shared<G> {
    fn write_with(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}
