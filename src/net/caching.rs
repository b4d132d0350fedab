//! `Cache-Control` of responses.

use axum::http::{HeaderValue, header};
use axum::response::Response;

/// Forbids caches to keep an answer, unless it says itself how long it may be kept: almost every answer holds people's words or
/// names, and a browser's "back" after a log-out would show them.
pub(super) fn forbid_caching(response: &mut Response) {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
