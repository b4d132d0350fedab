//! Error responses to requests whose dialect is not known yet.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::limits::RateLimited;

/// An error response in the format of all dialects at once, with `code` for programs. If a retry may succeed, it has `retryAfterMs`
/// and `Retry-After`.
#[must_use]
pub fn refusal(status: StatusCode, code: &str, message: &str, retry: Option<RateLimited>) -> Response {
    let mut body = json!({"success": false, "message": message, "detail": message, "error": message, "code": code});
    let Some(retry) = retry else { return (status, Json(body)).into_response() };
    body["retryAfterMs"] = retry.retry_after_ms().into();
    retry_later(status, body, retry)
}

/// A JSON response with `Retry-After`, in seconds. `body` should contain the same time in milliseconds.
#[must_use]
pub fn retry_later(status: StatusCode, body: impl Serialize, limited: RateLimited) -> Response {
    let seconds = HeaderValue::from(limited.retry_after_secs());
    (status, [(RETRY_AFTER, seconds)], Json(body)).into_response()
}
