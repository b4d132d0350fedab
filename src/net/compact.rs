//! A request's head without the buffer it was read into.
//!
//! Header values are slices of the connection's read buffer. A session keeps its handshake for as long as it lives, and a poll or a
//! handshake may wait for many seconds: so eight kilobytes would stay with each idle client. Copying the few values that matter
//! gives the buffer back.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::ClientMark;

/// What every websocket handshake says, so that it need not be copied.
const USUAL: [(HeaderName, HeaderValue); 3] = [
    (header::UPGRADE, HeaderValue::from_static("websocket")),
    (header::CONNECTION, HeaderValue::from_static("Upgrade")),
    (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
];

/// How the user agent of every browser begins; the rest of it is of no use to anybody here.
const BROWSER: HeaderValue = HeaderValue::from_static("Mozilla/");

/// What a face may still want to know of it.
const COPIED: [HeaderName; 7] = [
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::HOST,
    header::ORIGIN,
    header::AUTHORIZATION,
    header::COOKIE,
    // Shows a page of another site that asks without an `Origin`.
    HeaderName::from_static("sec-fetch-site"),
];

/// Copies the head of a request that may stay for long: websocket handshakes, handshakes by polling, and polls.
pub(super) fn compact_head(request: &mut Request) {
    let is_websocket = request.headers().contains_key(header::SEC_WEBSOCKET_KEY);
    if is_websocket {
        let client = ClientMark::of(request);
        request.extensions_mut().insert(client);
    }
    if is_websocket || is_poll(request) {
        let mut kept = HeaderMap::with_capacity(6);
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
    let says = |what: &str| pairs.clone().any(|pair| pair.starts_with(what));
    request.method() == Method::GET && says("EIO=") && says("transport=polling")
}

fn copy(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}
