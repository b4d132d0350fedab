//! Checks requests before they reach socketioxide.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::future::Either;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use socketioxide::socket::Sid;

use super::PATH;
use super::admission::{Admission, Bounds, Full, Opener, RETRY_AFTER};
use super::handshake::Handshake;
use super::polls::refuse;
use super::query::Query;
use super::repeats::Repeats;
use super::session::{Credentials, End, Session, Sessions};
use super::transports::Transports;
use crate::accounts::Accounts;
use crate::auth::Subject;
use crate::limits::{Action, Limits, RateLimited};
use crate::net::{ClientAddress, ConnectionHandle, pass_on, retry_later};

/// State of [`guard`].
#[derive(Clone)]
pub struct Gate {
    allow_eio3: bool,
    /// Additional path of the endpoint.
    path: Option<Arc<str>>,
    transports: Transports,
    accounts: Arc<Accounts>,
    limits: Arc<Limits>,
    admission: Admission,
    sessions: Arc<Sessions>,
}

impl Gate {
    /// `path`: additional path of the endpoint, without a final slash.
    pub(in crate::faces) fn new(
        allow_eio3: bool,
        path: Option<&str>,
        transports: Transports,
        accounts: Arc<Accounts>,
        limits: Arc<Limits>,
    ) -> Self {
        let (admission, sessions) = (Admission::new(Bounds::default()), Arc::default());
        let path = path.map(Arc::from);
        Self { allow_eio3, path, transports, accounts, limits, admission, sessions }
    }

    /// Whether a request is for the endpoint. The additional path is rewritten to the usual one.
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

/// Middleware that rejects malformed requests, clients of Engine.IO 3 unless they are accepted, requests that may not use their session,
/// and handshakes beyond the limits. Error responses are those of the replaced server.
pub fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> impl Future<Output = Response> + Send {
    if gate.is_for_a_socket(&mut request) {
        // Boxed, because each future that may hold the request has space for it.
        Either::Right(guard_session(gate, Box::new(request), next))
    } else {
        Either::Left(pass_on(request, next))
    }
}

async fn guard_session(gate: Gate, request: Box<Request>, next: Next) -> Response {
    let query = Query::of(request.uri().query());
    if !query.is_polling && !query.is_websocket {
        return refuse(0, "Transport unknown");
    }
    if query.is_eio3 && !gate.allow_eio3 {
        return refuse(5, "Unsupported protocol version");
    }
    let connection_handle = request.extensions().get::<ConnectionHandle>().cloned();
    let route = ClientAddress::of(request.extensions()).route();
    let credentials = Credentials::of(&gate.accounts, request.headers(), route, query.is_websocket);
    // engineioxide rejects unknown ids.
    let session = query.session.and_then(|id| gate.sessions.find(id));
    if session.as_ref().is_some_and(|session| !session.admits(&credentials)) {
        return refuse(1, "Session ID unknown");
    }
    let names_a_session = request.uri().query().is_some_and(|query| query.contains("sid="));
    let protocol = first_protocol(&request);
    if !names_a_session && request.method() == Method::GET {
        return with_protocol(gate.open(&query, request, next, credentials, connection_handle).await, protocol);
    }
    let is_poll = request.method() == Method::GET && query.is_polling;
    let is_post = request.method() == Method::POST;
    let repeats = session.as_ref().and_then(|session| session.repeats());
    if let Some(repeats) = repeats {
        if is_post && repeats.lock().posts_again(&query) {
            return "ok".into_response();
        }
        let is_response_lost = is_poll && repeats.lock().polls_again(&query);
        if let Some(id) = query.session.filter(|_| is_response_lost) {
            gate.transports.response_lost(&query);
            Box::pin(end_session(End::Polling(id), query, next)).await;
            return query.closing_packet().into_response();
        }
    }
    if is_poll {
        gate.transports.polled(&query);
    }
    let response = pass_on(*request, next).await;
    match (response.status(), repeats) {
        (StatusCode::OK, Some(repeats)) if is_post => repeats.lock().handled(&query),
        _ => {}
    }
    if let (Some(session), Some(websocket), StatusCode::SWITCHING_PROTOCOLS) =
        (&session, &connection_handle, response.status())
    {
        session.upgraded(websocket.clone());
    }
    gate.transports.responded(&query, response.status(), connection_handle);
    let response = with_protocol(response, protocol);
    match gate.transports.awaiting_connect_packet(&query) {
        Some(transport) if is_poll => Box::pin(transport.connect_packet.in_response(response)).await,
        Some(_) | None => response,
    }
}

impl Gate {
    /// Serves a handshake, once there is a slot for another session.
    async fn open(
        &self,
        query: &Query,
        mut request: Box<Request>,
        next: Next,
        credentials: Credentials,
        connection_handle: Option<ConnectionHandle>,
    ) -> Response {
        let source = ClientAddress::of(request.extensions()).source();
        let opener = match credentials.subject() {
            Some(Subject::Id(id)) => Opener::Account(id),
            Some(Subject::Number(number)) => Opener::Number(number),
            None => Opener::Source(source),
        };
        if let Opener::Source(_) = opener
            && let Err(limited) = self.limits.take(Action::Handshake, source)
        {
            return too_many_at_once(limited);
        }
        let slot = match self.admission.admit(opener, |end| Box::pin(end_session(end, *query, next.clone()))).await {
            Ok(slot) => slot,
            Err(Full::AtOnce) => return too_many_at_once(RETRY_AFTER),
            Err(Full::Waited) => return too_many(RETRY_AFTER),
        };
        let repeats = Repeats::since(query, request.headers());
        let handshake = Handshake::read(query, &request);
        let session = Session::open(slot, credentials, handshake, connection_handle, repeats);
        request.extensions_mut().insert(session.clone());
        let response = pass_on(*request, next).await;
        if query.is_polling && response.status() == StatusCode::OK {
            self.opened(response, &session).await
        } else {
            response
        }
    }

    /// Reads the session's id in the response to a handshake by polling.
    async fn opened(&self, response: Response, session: &Arc<Session>) -> Response {
        let (parts, body) = response.into_parts();
        let Ok(body) = body.collect().await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        let body = body.to_bytes();
        if let Some(id) = session_id(&body) {
            self.sessions.opened(id, session);
        }
        Response::from_parts(parts, Body::from(body))
    }
}

/// The `sid` of an OPEN packet. Engine.IO 3 puts its length before it and another packet after it.
fn session_id(body: &[u8]) -> Option<Sid> {
    let from = body.iter().position(|byte| *byte == b'{')?;
    let open = serde_json::Deserializer::from_slice(body.get(from..)?).into_iter::<Value>().next()?.ok()?;
    open.get("sid")?.as_str()?.parse().ok()
}

/// Closes a session. The stock client reconnects by itself.
async fn end_session(end: End, query: Query, next: Next) {
    match end {
        End::Websocket(websocket) => websocket.abort(),
        End::Polling(session) => {
            let eio = if query.is_eio3 { 3 } else { 4 };
            let uri = format!("{PATH}?EIO={eio}&transport=polling&sid={session}");
            if let Ok(request) = Request::post(uri).body(Body::from(query.closing_packet())) {
                pass_on(request, next).await;
            }
        }
        End::Nothing => {}
    }
}

/// Whether a path is this one, or one below it.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The first of the subprotocols that a client offers. They have no meaning here, but a browser that offers any requires the server to
/// choose one.
fn first_protocol(request: &Request) -> Option<HeaderValue> {
    let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    offered.split(',').next()?.trim().parse().ok().filter(|first: &HeaderValue| !first.is_empty())
}

/// Adds the chosen subprotocol to the response that opens a websocket.
fn with_protocol(mut response: Response, protocol: Option<HeaderValue>) -> Response {
    if let Some(protocol) = protocol.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

/// 429. Pages cannot see why a handshake failed; the stock client retries by itself.
fn too_many(limited: impl Into<RateLimited>) -> Response {
    let limited = limited.into();
    let message = "Too many sessions";
    let body = json!({"code": "rate_limited", "message": message, "retryAfterMs": limited.retry_after_ms()});
    retry_later(StatusCode::TOO_MANY_REQUESTS, body, limited)
}

/// The same for a request that has not waited. Closes the connection, so that connections whose requests are rejected do not add up.
fn too_many_at_once(limited: impl Into<RateLimited>) -> Response {
    ([(header::CONNECTION, "close")], too_many(limited)).into_response()
}
