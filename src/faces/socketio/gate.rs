//! What a request passes before it gets to a socket.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::query::Query;
use super::transports::Transports;
use super::{PATH, SocketioSettings};
use crate::net::HangUp;

/// What is known at the gate.
#[derive(Clone)]
pub struct Gate {
    allow_eio3: bool,
    /// Another path, which is taken for the usual one.
    path: Option<Arc<str>>,
    transports: Transports,
}

impl Gate {
    pub(super) fn new(settings: &SocketioSettings, transports: Transports) -> Self {
        Self { allow_eio3: settings.allow_eio3, path: settings.path.as_deref().map(Arc::from), transports }
    }

    /// Whether a request is for a socket. One to the other path becomes one to the usual path.
    fn is_for_a_socket(&self, request: &mut Request) -> bool {
        let path = request.uri().path();
        if is_below(path, PATH) {
            return true;
        }
        let Some(rest) = self.path.as_deref().filter(|other| is_below(path, other)).map(|other| &path[other.len()..])
        else {
            return false;
        };
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        match format!("{PATH}{rest}{query}").parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(_) => return false,
        }
        true
    }
}

/// Refuses what is no handshake, and clients of Engine.IO 3 unless they are let in, in the words of the replaced server; and
/// notes who is heard.
pub async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    if !gate.is_for_a_socket(&mut request) {
        return next.run(request).await;
    }
    let query = Query::of(request.uri().query());
    if !query.is_polling && !query.is_websocket {
        return refuse(0, "Transport unknown");
    }
    if query.is_eio3 && !gate.allow_eio3 {
        return refuse(5, "Unsupported protocol version");
    }
    let hang_up = request.extensions().get::<HangUp>().cloned();
    let is_poll = request.method() == Method::GET && query.is_polling;
    gate.transports.asked(&query, is_poll);
    let protocol = first_protocol(&request);
    let mut response = next.run(request).await;
    gate.transports.answered(&query, response.status(), hang_up);
    if let Some(protocol) = protocol.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    match gate.transports.awaiting_connect_answer(&query) {
        Some(transport) if is_poll => transport.connect_answer.in_answer(response).await,
        Some(_) | None => response,
    }
}

/// Whether a path is this one, or one below it.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The first of the subprotocols that a client offers. It means nothing here, but a browser that offers some gives up unless one
/// is chosen.
fn first_protocol(request: &Request) -> Option<HeaderValue> {
    let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    offered.split(',').next()?.trim().parse().ok().filter(|first: &HeaderValue| !first.is_empty())
}

fn refuse(code: u8, message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"code": code, "message": message}))).into_response()
}
