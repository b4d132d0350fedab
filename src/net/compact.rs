//! A request's head without the buffer it was read into.
//!
//! Header values are slices of the connection's read buffer, and a websocket keeps its handshake for as long as it lives: so
//! eight kilobytes stay with each idle client. Copying the few values that matter gives the buffer back.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

/// What a live socket may still be asked for, or needs to become one.
const KEPT: [HeaderName; 10] = [
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::ORIGIN,
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
];

/// A layer that copies the head of websocket handshakes.
pub async fn compact_headers(mut request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::SEC_WEBSOCKET_KEY) {
        let mut headers = HeaderMap::with_capacity(KEPT.len());
        for name in KEPT {
            if let Some(value) = request.headers().get(&name).and_then(copy) {
                headers.insert(name, value);
            }
        }
        *request.headers_mut() = headers;
        if let Ok(uri) = request.uri().to_string().parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    next.run(request).await
}

fn copy(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}
