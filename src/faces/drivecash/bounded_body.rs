//! A request body for the multipart parser (multer), which does two things that the parser does not.
//!
//! It limits what the parser buffers before it can parse it. And it drains the rest of a rejected body: otherwise, a client that is still
//! sending would see a broken connection instead of the response.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use futures_util::Stream;
use parking_lot::Mutex;
use tokio::time::timeout;

/// Bytes that the parser may buffer without producing anything: the headers of a part, or what comes before the first part.
const MAX_BUFFERED: usize = 1 << 20;

/// Bytes of a rejected body that are drained, and for how long.
const MAX_DRAINED: usize = 4 << 30;
const DRAINING: Duration = Duration::from_mins(1);

/// The body, and how many bytes the parser has read since it last produced something.
#[derive(Clone)]
pub(super) struct BoundedBody {
    body: Arc<Mutex<Body>>,
    buffered: Arc<AtomicUsize>,
}

impl BoundedBody {
    pub(super) fn new(body: Body) -> Self {
        Self { body: Arc::new(Mutex::new(body)), buffered: Arc::default() }
    }

    /// The stream that the parser reads.
    pub(super) fn stream(&self) -> BoundedStream {
        BoundedStream { body: self.clone(), has_yielded: false }
    }

    /// Notes that the parser has produced something.
    pub(super) fn progressed(&self) {
        self.buffered.store(0, Ordering::Relaxed);
    }

    /// Reads the rest.
    pub(super) async fn drain(&self) {
        let rest = async {
            let mut drained = 0;
            while drained < MAX_DRAINED
                && let Some(Ok(chunk)) = poll_fn(|cx| self.poll(cx)).await
            {
                drained += chunk.len();
            }
        };
        if timeout(DRAINING, rest).await.is_err() {
            tracing::debug!("Stopped draining a rejected request body: it took too long");
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let mut body = self.body.lock();
        loop {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                // Trailers are ignored.
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        return Poll::Ready(Some(Ok(chunk)));
                    }
                }
            }
        }
    }
}

/// Yields one chunk at a time: otherwise, the parser would read everything available before it parses any of it.
pub(super) struct BoundedStream {
    body: BoundedBody,
    has_yielded: bool,
}

impl Stream for BoundedStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_yielded {
            self.has_yielded = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let chunk = ready!(self.body.poll(cx));
        self.has_yielded = true;
        if let Some(Ok(chunk)) = &chunk
            && self.body.buffered.fetch_add(chunk.len(), Ordering::Relaxed) > MAX_BUFFERED
        {
            return Poll::Ready(Some(Err(Error::new(io::Error::other("the head of a part is too long")))));
        }
        Poll::Ready(chunk)
    }
}
