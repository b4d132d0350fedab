//! What a request passes before it gets to a socket.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::PATH;
use super::query::Query;
use super::transports::Transports;
use crate::net::HangUp;

/// What is known at the gate.
#[derive(Clone)]
pub struct Gate {
    allow_eio3: bool,
    transports: Transports,
}

impl Gate {
    pub(super) fn new(allow_eio3: bool, transports: Transports) -> Self {
        Self { allow_eio3, transports }
    }
}

/// Refuses what is no handshake, and clients of Engine.IO 3 unless they are let in, in the words of the replaced server; and
/// notes who is heard.
pub async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(PATH) {
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
    let response = next.run(request).await;
    gate.transports.answered(&query, response.status(), hang_up);
    match gate.transports.awaiting_connect_answer(&query) {
        Some(transport) if is_poll => transport.connect_answer.in_answer(response).await,
        Some(_) | None => response,
    }
}

fn refuse(code: u8, message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"code": code, "message": message}))).into_response()
}
