//! Deadlines of request bodies. Without them, a client that sends its body a byte at a time holds a connection forever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// How long a body may take, unless it is an upload.
const BODY: Duration = Duration::from_secs(15);

/// How long an upload may take.
const UPLOAD: Duration = Duration::from_mins(30);

/// An upload must receive so many bytes in each period.
const PERIOD: Duration = Duration::from_secs(30);
const PROGRESS: usize = 16 << 10;

/// How long the body of one request may take. An extension of the request. Clones share state.
///
/// 15 seconds in all, unless the handler expects an upload: then half an hour, and at least 16 KiB in every 30 seconds. Reading a
/// late body fails, and the response is 408.
#[derive(Debug, Clone, Default)]
pub struct BodyDeadline(Arc<Rule>);

#[derive(Debug, Default)]
struct Rule {
    is_upload: AtomicBool,
    has_passed: AtomicBool,
}

impl BodyDeadline {
    /// Applies the limits of an upload from now on. Called by handlers that expect a file.
    pub fn allow_upload(&self) {
        self.0.is_upload.store(true, Ordering::Relaxed);
    }

    /// Whether the body was late.
    pub(super) fn has_passed(&self) -> bool {
        self.0.has_passed.load(Ordering::Relaxed)
    }

    /// Applies the deadline to a body, from now on.
    pub(super) fn apply<B>(&self, body: B) -> Body
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    {
        let now = Instant::now();
        Body::new(TimedBody { body, rule: self.0.clone(), began: now, received: 0, due: Box::pin(sleep(BODY)) })
    }
}

/// A body with a deadline. An empty one, as of most requests, needs none.
pub(super) fn timed(body: Incoming) -> (Body, Option<BodyDeadline>) {
    if body.is_end_stream() {
        return (Body::new(body), None);
    }
    let deadline = BodyDeadline::default();
    (deadline.apply(body), Some(deadline))
}

struct TimedBody<B> {
    body: B,
    rule: Arc<Rule>,
    began: Instant,
    /// Bytes received in the current period.
    received: usize,
    due: Pin<Box<Sleep>>,
}

impl<B> TimedBody<B> {
    /// Ready once the body is late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.due.as_mut().poll(cx));
            let may_continue = self.rule.is_upload.load(Ordering::Relaxed)
                && self.received >= PROGRESS
                && self.began.elapsed() < UPLOAD;
            if !may_continue {
                self.rule.has_passed.store(true, Ordering::Relaxed);
                return Poll::Ready(());
            }
            self.received = 0;
            self.due.as_mut().reset(Instant::now() + PERIOD);
        }
    }
}

impl<B> HttpBody for TimedBody<B>
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        // First, so that data which arrived in time is accepted even if this process was too busy to read it.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                self.received += frame.data_ref().map_or(0, Bytes::len);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.poll_late(cx));
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the request's body is late").into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures_util::stream;

    use super::*;

    /// A body of so many pieces, sent one per second.
    fn slow_body(pieces: usize, bytes: usize) -> Body {
        let pieces = stream::unfold(0, move |sent| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            (sent < pieces).then(|| (Ok::<_, io::Error>(Bytes::from(vec![b'x'; bytes])), sent + 1))
        });
        Body::from_stream(pieces)
    }

    async fn read(body: Body, deadline: &BodyDeadline) -> Result<usize, Duration> {
        let began = Instant::now();
        to_bytes(deadline.apply(body), usize::MAX).await.map(|bytes| bytes.len()).map_err(|_| began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_fails_after_fifteen_seconds() {
        let deadline = BodyDeadline::default();
        assert_eq!(read(slow_body(10, 1), &deadline).await, Ok(10));
        assert!(!deadline.has_passed());
        assert_eq!(read(slow_body(100, 1), &deadline).await, Err(BODY));
        assert!(deadline.has_passed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_may_take_half_an_hour_while_it_makes_progress() {
        let deadline = BodyDeadline::default();
        deadline.allow_upload();
        assert_eq!(read(slow_body(600, 2048), &deadline).await, Ok(600 * 2048));
        assert!(!deadline.has_passed());
        let in_all = read(slow_body(3600, 2048), &deadline).await.unwrap_err();
        assert!(in_all >= UPLOAD && in_all <= UPLOAD + PERIOD, "{in_all:?}");
        let too_slow = read(slow_body(600, 10), &deadline).await;
        assert!(too_slow.is_err_and(|after| after <= BODY + PERIOD), "{too_slow:?}");
    }
}
