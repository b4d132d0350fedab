//! Websockets that begin a session.
//!
//! engineioxide can upgrade a connection by itself, but its task then holds two copies of the request as long as the session lives. So
//! the request is answered here, and engineioxide gets the websocket together with a request that has nothing it does not need.

use axum::extract::Request;
use axum::http::{self, HeaderValue, Method, Uri, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use socketioxide::layer::SocketIoLayer;
use socketioxide::service::SocketIoService;
use tower::Layer as _;
use tower::Service as _;

use super::session::Session;
use crate::net::Websocket;

/// Hands websockets to socketioxide.
#[derive(Clone)]
pub(super) struct Websockets(SocketIoService<()>);

/// A request for a websocket that begins a session.
pub(super) struct Opening {
    key: HeaderValue,
    upgrade: OnUpgrade,
    /// What engineioxide reads of the request.
    request: http::Request<()>,
}

impl Websockets {
    pub(super) fn new(layer: &SocketIoLayer) -> Self {
        Self(layer.layer(()))
    }

    /// Accepts the handshake. The session begins once the response has been written.
    pub(super) fn open(&self, opening: Opening) -> Response {
        let Opening { key, upgrade, request } = opening;
        let mut service = self.0.clone();
        tokio::spawn(async move {
            if let Some(websocket) = Websocket::open(upgrade).await
                && let Err(error) = service.call((websocket, request)).await
            {
                tracing::error!(%error, "Could not open a session");
            }
        });
        Websocket::accept(&key)
    }
}

impl Opening {
    /// `None` for any request that engineioxide would reject, or that upgrades a session.
    pub(super) fn of(request: &mut Request) -> Option<Self> {
        if request.method() != Method::GET {
            return None;
        }
        let mut request_of_engine = http::Request::new(());
        *request_of_engine.uri_mut() = uri(request.uri().query().unwrap_or_default())?;
        let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?.clone();
        let upgrade = request.extensions_mut().remove::<OnUpgrade>()?;
        if let Some(session) = request.extensions_mut().remove::<std::sync::Arc<Session>>() {
            request_of_engine.extensions_mut().insert(session);
        }
        Some(Self { key, upgrade, request: request_of_engine })
    }
}

/// What engineioxide would read of this query string.
fn uri(query: &str) -> Option<Uri> {
    let mut pairs = query.split('&');
    if pairs.clone().any(|pair| pair.starts_with("sid=")) {
        return None;
    }
    match pairs.find(|pair| pair.starts_with("EIO="))? {
        "EIO=4" => Some(Uri::from_static("/?EIO=4&transport=websocket")),
        "EIO=3" => Some(Uri::from_static("/?EIO=3&transport=websocket")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_that_engineioxide_would_accept_begins_a_session() {
        for (query, begins) in [
            ("EIO=4&transport=websocket", true),
            ("t=a&EIO=3&transport=websocket&EIO=5", true),
            ("transport=websocket", false),
            ("EIO=5&transport=websocket", false),
            ("EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAA", false),
            ("EIO=4&transport=websocket&sid=", false),
        ] {
            assert_eq!(uri(query).is_some(), begins, "{query}");
        }
    }
}
