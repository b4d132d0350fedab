//! Removes JSON escapes from event names in the body of a POST.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};

use crate::net::EventNames;

/// A body whose event names have no escapes. See [`EventNames`] for why.
pub(super) struct PlainNames {
    body: Body,
    names: EventNames,
    /// The beginning of a name that is not complete yet.
    unfinished: Vec<u8>,
}

impl PlainNames {
    pub(super) fn of(body: Body) -> Body {
        Body::new(Self { body, names: EventNames::default(), unfinished: Vec::new() })
    }

    /// Replaces the names in a chunk. Holds back a name that is not complete.
    fn replace(&mut self, data: Bytes) -> Bytes {
        let data = if self.unfinished.is_empty() {
            data
        } else {
            let mut joined = std::mem::take(&mut self.unfinished);
            joined.extend_from_slice(&data);
            joined.into()
        };
        let Some(at) = self.names.find_in_body(&data) else { return data };
        let mut data = data.to_vec();
        let unfinished = self.names.replace_in_body(&mut data[at..]);
        self.unfinished = data.split_off(data.len() - unfinished);
        data.into()
    }
}

impl HttpBody for PlainNames {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            let data = match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.replace(data),
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if self.unfinished.is_empty() => return Poll::Ready(None),
                None => std::mem::take(&mut self.unfinished).into(),
            };
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_is_passed_on_whole_in_chunks_of_any_size() {
        let body = "42[\"\\u0061\",\"\\u0062\"]\u{1e}3\u{1e}42/desk,1[\"b\"]\u{1e}42[\"\\u00";
        let expected = "42[\"a\"     ,\"\\u0062\"]\u{1e}3\u{1e}42/desk,1[\"b\"]\u{1e}42[\"\\u00";
        for size in [1, 3, 8, 1000] {
            let parts: Vec<_> = body.as_bytes().chunks(size).map(|part| Ok::<_, axum::Error>(part.to_vec())).collect();
            let passed = PlainNames::of(Body::from_stream(stream::iter(parts))).collect().await.unwrap().to_bytes();
            assert_eq!(std::str::from_utf8(&passed).unwrap(), expected, "in parts of {size}");
        }
    }
}
