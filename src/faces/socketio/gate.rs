//! What a request passes before it gets to a socket.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use socketioxide::socket::Sid;

use super::admission::{Admission, Bounds, Opener};
use super::query::Query;
use super::repeats::Repeats;
use super::session::{End, Session, Sessions, Shown};
use super::transports::Transports;
use super::{PATH, SocketioSettings};
use crate::accounts::Accounts;
use crate::auth::Subject;
use crate::limits::{Action, Limits, RateLimited};
use crate::net::{ClientAddress, HangUp};

/// What is known at the gate.
#[derive(Clone)]
pub struct Gate {
    allow_eio3: bool,
    /// Another path, which is taken for the usual one.
    path: Option<Arc<str>>,
    transports: Transports,
    accounts: Arc<Accounts>,
    limits: Arc<Limits>,
    admission: Admission,
    sessions: Arc<Sessions>,
}

impl Gate {
    pub(super) fn new(
        settings: &SocketioSettings,
        transports: Transports,
        accounts: Arc<Accounts>,
        limits: Arc<Limits>,
    ) -> Self {
        let (admission, sessions) = (Admission::new(Bounds::default()), Arc::default());
        let path = settings.path.as_deref().map(Arc::from);
        Self { allow_eio3: settings.allow_eio3, path, transports, accounts, limits, admission, sessions }
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

/// Refuses what is no handshake, and clients of Engine.IO 3 unless they are let in, in the words of the replaced server; sessions that
/// are too many, or somebody else's; and notes who is heard.
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
    let route = ClientAddress::of(request.extensions()).route();
    let shown = Shown::of(&gate.accounts, request.headers(), route, query.is_websocket);
    if query.session.is_some_and(|session| !gate.sessions.admits(session, &shown)) {
        return refuse(1, "Session ID unknown");
    }
    let names_a_session = request.uri().query().is_some_and(|query| query.contains("sid="));
    let protocol = first_protocol(&request);
    if !names_a_session && request.method() == Method::GET {
        return with_protocol(gate.open(&query, request, next, shown, hang_up).await, protocol);
    }
    let is_poll = request.method() == Method::GET && query.is_polling;
    let is_post = request.method() == Method::POST;
    if let Some(session) = query.session {
        if is_poll && gate.sessions.polls_again(session, &query) {
            gate.transports.lost_answer(&query);
            let eio = query.eio();
            end_session(End::Polling(session), eio, next).await;
            return answer(closing_packet(eio));
        }
        if is_post && gate.sessions.posts_again(session, &query) {
            return answer("ok");
        }
    }
    if is_poll {
        gate.transports.polled(&query);
    }
    let response = next.run(request).await;
    if let Some(session) = query.session.filter(|_| is_post && response.status() == StatusCode::OK) {
        gate.sessions.posted(session, &query);
    }
    if let (Some(session), Some(websocket), StatusCode::SWITCHING_PROTOCOLS) =
        (query.session, &hang_up, response.status())
    {
        gate.sessions.upgraded(session, websocket.clone());
    }
    gate.transports.answered(&query, response.status(), hang_up);
    let response = with_protocol(response, protocol);
    match gate.transports.awaiting_connect_answer(&query) {
        Some(transport) if is_poll => transport.connect_answer.in_answer(response).await,
        Some(_) | None => response,
    }
}

impl Gate {
    /// A handshake, once there is room for another session.
    async fn open(
        &self,
        query: &Query,
        mut request: Request,
        next: Next,
        shown: Shown,
        hang_up: Option<HangUp>,
    ) -> Response {
        let source = ClientAddress::of(request.extensions()).source();
        let opener = match shown.subject() {
            Some(Subject::Id(id)) => Opener::Account(id),
            Some(Subject::Number(number)) => Opener::Number(number),
            None => Opener::Source(source),
        };
        if let Opener::Source(_) = opener
            && let Err(limited) = self.limits.take(Action::Handshake, source)
        {
            return too_many(limited);
        }
        let eio = query.eio();
        let place = match self.admission.admit(opener, |end| end_session(end, eio, next.clone())).await {
            Ok(place) => place,
            Err(limited) => return too_many(limited),
        };
        let repeats = Repeats::since(query, request.headers());
        let session = Session::open(place, shown, hang_up, repeats);
        request.extensions_mut().insert(session.clone());
        let response = next.run(request).await;
        if query.is_polling && response.status() == StatusCode::OK {
            self.opened(response, &session).await
        } else {
            response
        }
    }

    /// Reads the session's id in the answer to a handshake by polling.
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

/// The `sid` of an open packet, whatever stands around it: Engine.IO 3 puts its length before it, and another packet after it.
fn session_id(body: &[u8]) -> Option<Sid> {
    let from = body.iter().position(|byte| *byte == b'{')?;
    let open = serde_json::Deserializer::from_slice(body.get(from..)?).into_iter::<Value>().next()?.ok()?;
    open.get("sid")?.as_str()?.parse().ok()
}

/// Ends a session to make room for another one. The stock client comes back by itself.
async fn end_session(end: End, eio: u8, next: Next) {
    match end {
        End::Websocket(websocket) => websocket.now(),
        End::Polling(session) => {
            let uri = format!("{PATH}?EIO={eio}&transport=polling&sid={session}");
            if let Ok(request) = Request::post(uri).body(Body::from(closing_packet(eio))) {
                next.run(request).await;
            }
        }
        End::Nothing => {}
    }
}

/// The packet that closes a session.
fn closing_packet(eio: u8) -> &'static str {
    if eio == 3 { "1:1" } else { "1" }
}

/// What the library would answer.
fn answer(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=UTF-8")], text).into_response()
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

/// Names the chosen subprotocol in the answer that opens a websocket.
fn with_protocol(mut response: Response, protocol: Option<HeaderValue>) -> Response {
    if let Some(protocol) = protocol.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

fn refuse(code: u8, message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"code": code, "message": message}))).into_response()
}

/// A browser does not tell its page why a handshake failed; the stock client tries again by itself.
fn too_many(limited: RateLimited) -> Response {
    let message = "Too many sessions";
    let body = json!({"code": "rate_limited", "message": message, "retryAfterMs": limited.retry_after_ms()});
    let seconds = HeaderValue::from(limited.retry_after_secs());
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], Json(body)).into_response()
}
