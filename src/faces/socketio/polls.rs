//! Long-polling and upgrades to a websocket, as far as engineioxide does not handle them:
//!
//! * a session that is cut off ends like a lost connection, after which stock clients reconnect (they do not after a DISCONNECT packet);
//! * a poll that its client abandons ends the session, since its response is lost;
//! * a response has no more packets than every client accepts ([`portions`](super::portions));
//! * during an upgrade, empty responses to polls are delayed, so that the client does not poll in a busy loop;
//! * a websocket request that cannot become a websocket is rejected, and so are clients whose websockets keep failing.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use socketioxide::layer::SocketIoLayer;
use socketioxide::socket::Sid;
use tokio::time::{Instant, sleep};

use super::handshake::strip;
use super::plain_names::PlainNames;
use super::query::Query;
use super::transports::Transports;
use super::upgrades::Upgrades;
use super::websockets::{Opening, Websockets};
use crate::net::ClientMark;

/// Delay of an empty response during an upgrade.
const EMPTY_DELAY: Duration = Duration::from_millis(100);

/// A response within this time did not wait for anything.
const AT_ONCE: Duration = Duration::from_millis(20);

/// Content length of a response with a NOOP packet only.
const NOTHING: &str = "1";

/// State of [`carry`].
#[derive(Clone)]
pub struct Polls {
    path: &'static str,
    transports: Transports,
    upgrades: Upgrades,
    /// `None` if engineioxide opens all websockets.
    websockets: Option<Websockets>,
}

impl Polls {
    /// `layer`: that of socketioxide; `None` if something else speaks Engine.IO at this path.
    pub(in crate::faces) fn new(
        path: &'static str,
        layer: Option<&SocketIoLayer>,
        transports: Transports,
        upgrades: Upgrades,
    ) -> Self {
        Self { path, transports, upgrades, websockets: layer.map(Websockets::new) }
    }

    /// For a server at this path without a desk. `layer`: that of socketioxide, if it serves the path.
    #[must_use]
    pub fn without_desk(path: &'static str, layer: Option<&SocketIoLayer>) -> Self {
        Self::new(path, layer, Transports::default(), Upgrades::default())
    }
}

/// Middleware right in front of socketioxide.
pub async fn carry(State(polls): State<Polls>, mut request: Request, next: Next) -> Response {
    let client = request.extensions_mut().remove::<ClientMark>();
    if !request.uri().path().starts_with(polls.path) {
        return next.run(request).await;
    }
    let query = Query::of(request.uri().query());
    match query.session {
        _ if query.is_websocket => polls.open_websocket(&query, client, request, next).await,
        Some(session) if request.method() == Method::GET => {
            let is_over = polls.transports.ended(session).is_some_and(|ended| ended.is_cancelled());
            if !is_over && let Some(portion) = polls.transports.next_portion(session) {
                return portion;
            }
            let response = polls.poll(session, &query, request, next).await;
            polls.transports.first_portion(session, response, query.is_eio3).await
        }
        Some(session) if polls.transports.ended(session).is_some_and(|ended| ended.is_cancelled()) => {
            refuse(1, "Session ID unknown")
        }
        // Packets are separated differently before Engine.IO 4.
        Some(_) if request.method() == Method::POST && !query.is_eio3 => next.run(request.map(PlainNames::of)).await,
        None if request.method() == Method::GET => {
            strip(&mut request);
            next.run(request).await
        }
        Some(_) | None => next.run(request).await,
    }
}

impl Polls {
    async fn open_websocket(
        &self,
        query: &Query,
        client: Option<ClientMark>,
        mut request: Request,
        next: Next,
    ) -> Response {
        if !asks_for_websocket(&request) {
            return refuse(3, "Bad request");
        }
        if let Some(websockets) = &self.websockets
            && let Some(opening) = Opening::of(&mut request)
        {
            return websockets.open(opening);
        }
        strip(&mut request);
        let (Some(session), Some(client)) = (query.session, client) else { return next.run(request).await };
        if self.upgrades.refuses(client) {
            return refuse(3, "Bad request");
        }
        let response = next.run(request).await;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.upgrades.began(session, client);
        }
        response
    }

    async fn poll(&self, session: Sid, query: &Query, request: Request, next: Next) -> Response {
        let ended = self.transports.ended(session);
        let is_upgrading = self.transports.is_upgrading(session);
        let packet = query.closing_packet();
        let close = Close { uri: request.uri().clone(), packet, next: next.clone() };
        let mut if_abandoned = IfAbandoned(Some(close).filter(|_| !is_upgrading));
        let asked = Instant::now();
        let has_ended = async {
            match ended {
                Some(ended) => ended.cancelled_owned().await,
                None => pending().await,
            }
        };
        // If anything had been queued, it would have been the response by then.
        let waits = async {
            sleep(AT_ONCE).await;
            self.transports.waits(session, asked);
            pending::<Infallible>().await
        };
        let response = tokio::select! {
            biased;
            () = has_ended => return ([(header::CONTENT_TYPE, "text/plain; charset=UTF-8")], packet).into_response(),
            response = next.run(request) => response,
            never = waits => match never {},
        };
        if_abandoned.0 = None;
        let is_nothing = response.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length == NOTHING);
        if is_upgrading && is_nothing && asked.elapsed() < AT_ONCE {
            sleep(EMPTY_DELAY).await;
        }
        response
    }
}

/// Whether a request can become a websocket. engineioxide responds with 101 without checking.
fn asks_for_websocket(request: &Request) -> bool {
    let has = |name: header::HeaderName, wanted: &str| {
        let values = request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    request.version() >= Version::HTTP_11
        && has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13")
}

/// Closes a session in engineioxide, by sending a CLOSE packet as its client would.
struct Close {
    uri: Uri,
    packet: &'static str,
    next: Next,
}

impl Close {
    async fn run(self) {
        if let Ok(request) = Request::post(self.uri).body(Body::from(self.packet)) {
            drop(self.next.run(request).await);
        }
    }
}

/// Closes the session when dropped: after the poll was answered with a CLOSE packet, or was abandoned.
struct IfAbandoned(Option<Close>);

impl Drop for IfAbandoned {
    fn drop(&mut self) {
        if let Some(close) = self.0.take() {
            tokio::spawn(close.run());
        }
    }
}

/// An error response in the format of the replaced server.
pub(super) fn refuse(code: u8, message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"code": code, "message": message}))).into_response()
}
