//! The console: a page for agents, below `/console/`.
//!
//! The page is a client like any other and uses the protocol in docs/PROTOCOL.md, so this module only serves its files. They are
//! compiled into the program, need no build step, and load nothing from other servers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

#[cfg(test)]
mod tests;

/// The page may run its own scripts and connect to this server; `'self'` includes websockets. Trusted types prevent text from becoming
/// a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// File name of the page itself.
const PAGE: &str = "index.html";

/// The name, media type and content of each file.
macro_rules! assets {
    ($($name:literal: $kind:expr),* $(,)?) => {
        [$(($name, $kind, include_bytes!(concat!("assets/", $name)).as_slice())),*]
    };
}

/// All files. Nothing is read from the disk, so no other file can be requested.
const ASSETS: [(&str, &str, &[u8]); 21] = assets![
    "index.html": HTML,
    "console.css": CSS,
    "entrance.css": CSS,
    "thread.css": CSS,
    "icon.svg": SVG,
    "main.js": JAVASCRIPT,
    "account.js": JAVASCRIPT,
    "composer.js": JAVASCRIPT,
    "console.js": JAVASCRIPT,
    "conversations.js": JAVASCRIPT,
    "attachments.js": JAVASCRIPT,
    "dom.js": JAVASCRIPT,
    "link.js": JAVASCRIPT,
    "list-view.js": JAVASCRIPT,
    "message-view.js": JAVASCRIPT,
    "outbox.js": JAVASCRIPT,
    "socket.js": JAVASCRIPT,
    "synced.js": JAVASCRIPT,
    "thread.js": JAVASCRIPT,
    "thread-view.js": JAVASCRIPT,
    "transports.js": JAVASCRIPT,
];

/// A file as it is served.
struct Asset {
    kind: HeaderValue,
    etag: HeaderValue,
    body: Bytes,
}

type Assets = Arc<BTreeMap<&'static str, Asset>>;

/// All routes of this face.
pub fn routes() -> Router {
    let assets = ASSETS.into_iter().filter_map(|(name, kind, body)| Some((name, Asset::new(kind, body)?)));
    Router::new()
        .route("/console", get(to_page))
        .route("/console/", get(page))
        .route("/console/{name}", get(asset))
        .layer(map_response(guard))
        .with_state(Arc::new(assets.collect()))
}

impl Asset {
    /// `None` if the entity tag is not a valid header value, which a test rules out.
    fn new(kind: &'static str, body: &'static [u8]) -> Option<Self> {
        let etag = HeaderValue::try_from(format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(body)))).ok()?;
        Some(Self { kind: HeaderValue::from_static(kind), etag, body: Bytes::from_static(body) })
    }

    /// Whether the browser has the current version.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut tags = known.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
        tags.any(|tag| tag == "*" || tag.as_bytes() == self.etag.as_bytes())
    }

    /// The file, or 304. Browsers ask for each file every time, so that all parts of the page come from the same version of the server.
    fn respond(&self, headers: &HeaderMap) -> Response {
        let caching = [(ETAG, self.etag.clone()), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
        if self.is_known(headers) {
            return (StatusCode::NOT_MODIFIED, caching).into_response();
        }
        (caching, [(CONTENT_TYPE, self.kind.clone())], self.body.clone()).into_response()
    }
}

/// `GET /console`: redirects to the address with a slash, to which the page's links are relative.
async fn to_page(uri: Uri) -> Redirect {
    match uri.query() {
        Some(query) => Redirect::permanent(&format!("/console/?{query}")),
        None => Redirect::permanent("/console/"),
    }
}

async fn page(assets: State<Assets>, headers: HeaderMap) -> Response {
    asset(assets, Path(PAGE.to_owned()), headers).await
}

async fn asset(State(assets): State<Assets>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    match assets.get(name.as_str()) {
        Some(asset) => asset.respond(&headers),
        None => (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], "Not found").into_response(),
    }
}

/// Adds the security headers to every response.
async fn guard(mut response: Response) -> Response {
    const GUARDS: [(HeaderName, HeaderValue); 3] = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    response.headers_mut().extend(GUARDS);
    response
}
