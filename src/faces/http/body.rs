//! Reads the body of a request.

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use http_body_util::LengthLimitError;

/// A body that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::faces) enum ReadBodyError {
    #[error("The request body is too large")]
    TooLarge,
    #[error("The request body could not be read")]
    Unreadable,
}

/// Reads a body of at most `limit` bytes that should hold JSON. An empty one counts as the object `{}`.
pub(in crate::faces) async fn read_json_text(request: Request, limit: usize) -> Result<Bytes, ReadBodyError> {
    let bytes = to_bytes(request.into_body(), limit).await.map_err(|error| {
        if error.into_inner().is::<LengthLimitError>() { ReadBodyError::TooLarge } else { ReadBodyError::Unreadable }
    })?;
    let text = bytes.trim_ascii();
    Ok(if text.is_empty() { Bytes::from_static(b"{}") } else { bytes.slice_ref(text) })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::stream;

    use super::*;

    async fn read(body: Body) -> Result<Bytes, ReadBodyError> {
        read_json_text(Request::new(body), 8).await
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_an_empty_one_is_an_empty_object() {
        for (body, text) in [("", "{}"), (" \r\n", "{}"), (" {\"a\":1}", "{\"a\":1}"), ("x", "x")] {
            assert_eq!(read(Body::from(body)).await.as_deref(), Ok(text.as_bytes()), "{body:?}");
        }
        assert_eq!(read(Body::from("123456789")).await, Err(ReadBodyError::TooLarge));
        let broken = stream::iter([Ok("{"), Err(std::io::Error::other("cut off"))]);
        assert_eq!(read(Body::from_stream(broken)).await, Err(ReadBodyError::Unreadable));
    }
}
