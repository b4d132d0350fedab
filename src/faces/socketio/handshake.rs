//! The request that opens a session.
//!
//! engineioxide holds the head of that request as long as the session lives. So everything needed later is read once, into a
//! [`Handshake`], and [`strip`] removes the rest before engineioxide receives the request. This saves 1 KB per idle connection.

use std::net::IpAddr;
use std::sync::LazyLock;

use axum::extract::{Query as Parameters, Request};
use axum::http::{Extensions, HeaderMap, HeaderName, header};
use hyper::upgrade::OnUpgrade;
use serde::Deserialize;
use socketioxide::extract::SocketRef;

use super::is_browser;
use super::query::Query;
use super::session::Session;
use crate::auth::without_bearer;
use crate::faces::http::credentials::{cookie_token, header_token};
use crate::net::{ClientAddress, ServerUrl};

/// What is needed of the request that opened a session, as long as the session lives.
#[derive(Debug)]
pub(in crate::faces) struct Handshake {
    /// The client's address.
    pub(in crate::faces) address: IpAddr,
    /// Whether the client is a browser.
    pub(in crate::faces) is_browser: bool,
    /// Whether the client speaks Engine.IO 3.
    pub(in crate::faces) is_eio3: bool,
    /// Whether it asked for a websocket.
    pub(super) is_websocket: bool,
    /// The token in the URL, or else in an `Authorization` header.
    pub(in crate::faces) token: Option<Box<str>>,
    /// The token in a cookie named `token`.
    pub(in crate::faces) cookie: Option<Box<str>>,
    /// URL at which the client reaches this server.
    pub(in crate::faces) server_url: ServerUrl,
}

/// For a socket whose request did not pass the guard.
static UNKNOWN: LazyLock<Handshake> =
    LazyLock::new(|| Handshake::new(&Query::default(), None, &HeaderMap::new(), &Extensions::new()));

#[derive(Deserialize)]
struct TokenParameter {
    token: Option<String>,
}

impl Handshake {
    /// Reads a handshake request.
    pub(in crate::faces) fn read(query: &Query, request: &Request) -> Self {
        let in_url = Parameters::<TokenParameter>::try_from_uri(request.uri()).ok();
        let in_url = in_url.and_then(|parameters| parameters.0.token);
        let token = in_url.as_deref().map(without_bearer);
        Self::new(query, token, request.headers(), request.extensions())
    }

    fn new(query: &Query, token: Option<&str>, headers: &HeaderMap, extensions: &Extensions) -> Self {
        let in_url = token.filter(|token| !token.is_empty());
        Self {
            address: ClientAddress::of(extensions).ip(),
            is_browser: is_browser(headers),
            is_eio3: query.is_eio3,
            is_websocket: query.is_websocket,
            token: in_url.or_else(|| header_token(headers).ok().flatten()).map(Into::into),
            cookie: cookie_token(headers).map(Into::into),
            server_url: ServerUrl::of(headers, extensions),
        }
    }

    /// The handshake of the session that a socket belongs to.
    pub(in crate::faces) fn of(socket: &SocketRef) -> &Self {
        Session::of(socket).map_or(&UNKNOWN, |session| &session.handshake)
    }
}

/// The only header that engineioxide needs to open a websocket. The others have been checked already.
const NEEDED: HeaderName = header::SEC_WEBSOCKET_KEY;

/// Removes everything that engineioxide does not need from a request that opens a session or a websocket. The maps are replaced,
/// since they do not shrink.
pub(super) fn strip(request: &mut Request) {
    let mut headers = HeaderMap::with_capacity(1);
    if let Some(key) = request.headers_mut().remove(NEEDED) {
        headers.insert(NEEDED, key);
    }
    *request.headers_mut() = headers;
    let mut extensions = Extensions::new();
    if let Some(session) = request.extensions_mut().remove::<std::sync::Arc<Session>>() {
        extensions.insert(session);
    }
    if let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() {
        extensions.insert(upgrade);
    }
    *request.extensions_mut() = extensions;
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn read(uri: &str, headers: &[(&str, &str)]) -> Handshake {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        Handshake::read(&Query::of(request.uri().query()), &request)
    }

    #[test]
    fn a_token_in_the_url_takes_precedence_over_a_header_and_a_cookie_is_separate() {
        let both = [("authorization", "Bearer header"), ("cookie", "a=b; token=cookie")];
        for (uri, headers, token, cookie) in [
            ("/socket.io/?EIO=4&transport=polling", &[][..], None, None),
            ("/socket.io/?EIO=4&transport=polling&token=Bearer%20address", &both[..], Some("address"), Some("cookie")),
            ("/socket.io/?EIO=4&transport=polling&token=", &both, Some("header"), Some("cookie")),
            ("/socket.io/?EIO=4&transport=polling", &[("authorization", "Bearer ")], None, None),
        ] {
            let handshake = read(uri, headers);
            assert_eq!((handshake.token.as_deref(), handshake.cookie.as_deref()), (token, cookie), "{uri} {headers:?}");
        }
    }

    #[test]
    fn only_the_websocket_key_is_left() {
        let request = Request::get("/socket.io/?EIO=4&transport=websocket").header("host", "a").header(NEEDED, "b");
        let mut request = request.extension(7_u32).body(Body::empty()).unwrap();
        strip(&mut request);
        assert_eq!(request.headers().len(), 1);
        assert_eq!(request.headers()[NEEDED], "b");
        assert!(request.extensions().is_empty());
    }
}
