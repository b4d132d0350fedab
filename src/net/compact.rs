//! Copies a request's head out of the buffer it was read into.
//!
//! Header values are slices of the connection's read buffer. A session holds the head of its handshake as long as it lives, and a poll
//! or a handshake may wait for many seconds, so eight kilobytes would stay allocated per idle client. Copying the few values that
//! are needed frees the buffer.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::ClientMark;

/// Headers that are the same in every websocket handshake, so that static values replace them.
const USUAL: [(HeaderName, HeaderValue); 3] = [
    (header::UPGRADE, HeaderValue::from_static("websocket")),
    (header::CONNECTION, HeaderValue::from_static("Upgrade")),
    (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
];

/// Replaces the user agent of a browser: only this prefix is used.
const BROWSER: HeaderValue = HeaderValue::from_static("Mozilla/");

/// Headers that are copied, because a face may need them.
const COPIED: [HeaderName; 7] = [
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::HOST,
    header::ORIGIN,
    header::AUTHORIZATION,
    header::COOKIE,
    // Shows that a request without an `Origin` was sent by a page of another site.
    HeaderName::from_static("sec-fetch-site"),
];

/// Copies the head of a request that may be held for long: a websocket handshake, a handshake by polling, or a poll.
pub(super) fn compact_head(request: &mut Request) {
    let is_websocket = request.headers().contains_key(header::SEC_WEBSOCKET_KEY);
    if is_websocket {
        let client = ClientMark::of(request);
        request.extensions_mut().insert(client);
    }
    if is_websocket || is_poll(request) {
        let mut kept = HeaderMap::with_capacity(if is_websocket { 6 } else { 3 });
        for (name, usual) in USUAL {
            let Some(value) = request.headers().get(&name) else { continue };
            let is_usual = value.as_bytes().eq_ignore_ascii_case(usual.as_bytes());
            if let Some(value) = if is_usual { Some(usual) } else { copy(value) } {
                kept.insert(name, value);
            }
        }
        for name in COPIED {
            if let Some(value) = request.headers().get(&name).and_then(copy) {
                kept.insert(name, value);
            }
        }
        let agent = request.headers().get(header::USER_AGENT);
        if agent.is_some_and(|agent| agent.as_bytes().starts_with(BROWSER.as_bytes())) {
            kept.insert(header::USER_AGENT, BROWSER);
        }
        *request.headers_mut() = kept;
        if let Ok(uri) = request.uri().to_string().parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
}

fn is_poll(request: &Request) -> bool {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let has = |prefix: &str| pairs.clone().any(|pair| pair.starts_with(prefix));
    request.method() == Method::GET && has("EIO=") && has("transport=polling")
}

fn copy(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}
