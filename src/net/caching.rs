//! `Cache-Control` of responses.

use axum::http::{HeaderValue, header};
use axum::response::Response;

/// Sets `no-store`, unless the response sets its own `Cache-Control`. Almost every response contains messages or names, and a
/// browser's "back" button would show them after a log-out.
pub(super) fn forbid_caching(response: &mut Response) {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
