//! Headers and statuses of responses.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::desk::messages::SendMessageError;
use crate::domain::BodyError;
use crate::limits::RateLimited;

/// 200 with JSON that no cache may store, e.g. tokens.
pub(in crate::faces) fn uncached(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// JSON that says when to try again: in `Retry-After`, in seconds. `body` says it in milliseconds.
pub(in crate::faces) fn retry_later(status: StatusCode, body: impl Serialize, limited: RateLimited) -> Response {
    let seconds = HeaderValue::from(limited.retry_after_secs());
    (status, [(header::RETRY_AFTER, seconds)], Json(body)).into_response()
}

/// The status of a response to a message that was not sent.
pub(in crate::faces) fn status_of(error: &SendMessageError) -> StatusCode {
    match error {
        SendMessageError::Body(BodyError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        SendMessageError::Body(BodyError::Blank | BodyError::Nul) => StatusCode::BAD_REQUEST,
        SendMessageError::NoAddressee => StatusCode::NOT_FOUND,
        SendMessageError::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        SendMessageError::Busy | SendMessageError::ShuttingDown | SendMessageError::Store(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
