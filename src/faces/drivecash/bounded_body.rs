//! A request's body, lent to the parser of forms: that one would hold without bounds what it cannot make sense of, and what it
//! leaves unread is read on here, since a client that is still sending would find a broken connection instead of the answer.

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

/// How many bytes the parser may hold without getting on: the head of a part, or what is before the first one.
const MAX_HELD: usize = 1 << 20;

/// How much of what was refused is read, and how long.
const MAX_DISCARDED: usize = 4 << 30;
const DISCARDING: Duration = Duration::from_mins(1);

/// The body, and how much was taken of it since the parser last got on.
#[derive(Clone)]
pub(super) struct BoundedBody {
    body: Arc<Mutex<Body>>,
    held: Arc<AtomicUsize>,
}

impl BoundedBody {
    pub(super) fn new(body: Body) -> Self {
        Self { body: Arc::new(Mutex::new(body)), held: Arc::default() }
    }

    /// What the parser reads.
    pub(super) fn stream(&self) -> BoundedStream {
        BoundedStream { body: self.clone(), rests: false }
    }

    /// The parser has given something back.
    pub(super) fn got_on(&self) {
        self.held.store(0, Ordering::Relaxed);
    }

    /// Reads what is left.
    pub(super) async fn discard(&self) {
        let rest = async {
            let mut discarded = 0;
            while discarded < MAX_DISCARDED
                && let Some(Ok(piece)) = poll_fn(|cx| self.poll(cx)).await
            {
                discarded += piece.len();
            }
        };
        if timeout(DISCARDING, rest).await.is_err() {
            tracing::debug!("Stopped draining a rejected request body: it took too long");
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let mut body = self.body.lock();
        loop {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                // Trailers are of no interest.
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
            }
        }
    }
}

/// Gives one piece at a time: the parser would else take all that is there before it looks at any of it.
pub(super) struct BoundedStream {
    body: BoundedBody,
    rests: bool,
}

impl Stream for BoundedStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.rests {
            self.rests = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(self.body.poll(cx));
        self.rests = true;
        if let Some(Ok(piece)) = &piece
            && self.body.held.fetch_add(piece.len(), Ordering::Relaxed) > MAX_HELD
        {
            return Poll::Ready(Some(Err(Error::new(io::Error::other("the head of a part is too long")))));
        }
        Poll::Ready(piece)
    }
}
