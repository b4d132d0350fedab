//! A session of the transport: the credentials of its handshake, and how to close it.
//!
//! A session id is not a credential: it has only 96 random bits, and is part of URLs, which are logged. So a request for a session must
//! carry the same credentials as its handshake, or come from the same address.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use axum::http::HeaderMap;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest as _, Sha256};
use socketioxide::extract::SocketRef;
use socketioxide::socket::Sid;
use tokio::sync::OwnedSemaphorePermit;

use super::admission::Slot;
use super::handshake::Handshake;
use super::repeats::Repeats;
use crate::accounts::Accounts;
use crate::auth::Subject;
use crate::faces::http::credentials::{cookie_token, header_token};
use crate::limits::Route;
use crate::net::ConnectionHandle;

/// The credentials of a request.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    /// Boxed, since most sessions have none.
    token: Option<Box<Token>>,
    route: Route,
    /// Pages cannot add headers to the handshake of a websocket.
    is_websocket: bool,
}

#[derive(Debug, Clone)]
struct Token {
    digest: [u8; 32],
    /// The account, if the token is valid.
    subject: Option<Subject>,
}

impl Credentials {
    pub(super) fn of(accounts: &Accounts, headers: &HeaderMap, route: Route, is_websocket: bool) -> Self {
        let token = token(headers).map(|token| {
            let digest = Sha256::digest(token.as_bytes()).into();
            Box::new(Token { digest, subject: accounts.subject_of(token) })
        });
        Self { token, route, is_websocket }
    }

    /// The account of the token, if it is valid.
    pub(super) fn subject(&self) -> Option<Subject> {
        self.token.as_ref()?.subject
    }

    /// Whether a request with the credentials `other` may use a session whose handshake had these.
    fn admits(&self, other: &Self) -> bool {
        let is_same_route = self.route == other.route;
        match (&self.token, &other.token) {
            (None, _) => is_same_route,
            (Some(_), None) => is_same_route && other.is_websocket,
            (Some(own), Some(other)) => {
                own.digest == other.digest || (own.subject.is_some() && own.subject == other.subject)
            }
        }
    }
}

/// The token in an `Authorization` header, or in a cookie named `token`.
fn token(headers: &HeaderMap) -> Option<&str> {
    header_token(headers).ok().flatten().or_else(|| cookie_token(headers))
}

/// How to close a session.
#[derive(Debug)]
pub(super) enum End {
    /// By closing its websocket.
    Websocket(ConnectionHandle),
    /// By a CLOSE packet in its name.
    Polling(Sid),
    /// Not known yet.
    Nothing,
}

/// A session. It is stored with the request of its handshake, which engineioxide holds as long as the session lives.
pub(super) struct Session {
    credentials: Credentials,
    pub(super) handshake: Handshake,
    id: OnceLock<Sid>,
    websocket: OnceLock<ConnectionHandle>,
    /// Its slot among the unclaimed sessions.
    slot: Mutex<Option<Slot>>,
    repeats: Option<Box<Mutex<Repeats>>>,
    /// What is held for each of its sockets that are connecting, by namespace.
    connecting: Mutex<Box<[Connecting]>>,
}

/// A namespace, and what is held for the socket that is connecting to it.
type Connecting = (Box<str>, Box<dyn Any + Send>);

impl Session {
    pub(super) fn open(
        slot: Slot,
        credentials: Credentials,
        handshake: Handshake,
        connection_handle: Option<ConnectionHandle>,
        repeats: Option<Repeats>,
    ) -> Arc<Self> {
        let websocket = OnceLock::new();
        if let Some(connection_handle) = connection_handle.filter(|_| handshake.is_websocket) {
            drop(websocket.set(connection_handle));
        }
        let repeats = repeats.map(|repeats| Box::new(Mutex::new(repeats)));
        let session = Arc::new(Self {
            credentials,
            handshake,
            id: OnceLock::new(),
            websocket,
            slot: Mutex::new(None),
            repeats,
            connecting: Mutex::default(),
        });
        slot.is_of(&session);
        *session.slot.lock() = Some(slot);
        session
    }

    /// A session whose client has sent nothing but its handshake.
    #[cfg(test)]
    pub(super) fn silent(slot: Slot) -> Arc<Self> {
        let request = axum::extract::Request::new(axum::body::Body::empty());
        let route = crate::net::ClientAddress::of(request.extensions()).route();
        let credentials = Credentials { token: None, route, is_websocket: false };
        let handshake = Handshake::read(&super::query::Query::of(None), &request);
        Self::open(slot, credentials, handshake, None, None)
    }

    /// The session that a socket belongs to; `None` if the request of its handshake did not pass the guard.
    pub(super) fn of(socket: &SocketRef) -> Option<&Arc<Self>> {
        socket.req_parts().extensions.get()
    }

    /// Whether a request with these credentials may use it.
    pub(super) fn admits(&self, credentials: &Credentials) -> bool {
        self.credentials.admits(credentials)
    }

    /// Notes that it was upgraded to this websocket.
    pub(super) fn upgraded(&self, websocket: ConnectionHandle) {
        drop(self.websocket.set(websocket));
    }

    /// Recognizes repeated requests; `None` if it is not a polling browser's.
    pub(super) fn repeats(&self) -> Option<&Mutex<Repeats>> {
        self.repeats.as_deref()
    }

    /// The websocket that it began with; `None` if it began by polling.
    pub(super) fn first_websocket(&self) -> Option<&ConnectionHandle> {
        self.websocket.get().filter(|_| self.handshake.is_websocket)
    }

    /// Notes that it was closed: while it still takes memory, it holds `permit` instead of its slot.
    pub(super) fn closed(&self, permit: OwnedSemaphorePermit) {
        if let Some(slot) = self.slot.lock().as_mut() {
            slot.exchange(permit);
        }
    }

    fn hold(&self, namespace: &str, value: Box<dyn Any + Send>) {
        let mut connecting = self.connecting.lock();
        let mut all = std::mem::take(&mut *connecting).into_vec();
        all.retain(|(other, _)| **other != *namespace);
        all.push((namespace.into(), value));
        *connecting = all.into_boxed_slice();
    }

    fn take_held(&self, namespace: &str) -> Option<Box<dyn Any + Send>> {
        let mut connecting = self.connecting.lock();
        let mut all = std::mem::take(&mut *connecting).into_vec();
        let at = all.iter().position(|(other, _)| **other == *namespace);
        let held = at.map(|at| all.swap_remove(at).1);
        *connecting = all.into_boxed_slice();
        held
    }

    /// How to close it.
    pub(super) fn end(&self) -> End {
        match (self.websocket.get(), self.id.get()) {
            (Some(websocket), _) => End::Websocket(websocket.clone()),
            (None, Some(id)) => End::Polling(*id),
            (None, None) => End::Nothing,
        }
    }
}

/// Marks the session of a socket as claimed: its client has authenticated.
pub(in crate::faces) fn claim(socket: &SocketRef) {
    if let Some(session) = Session::of(socket) {
        drop(session.slot.lock().take());
    }
}

/// Holds a value until the socket's CONNECT packet has been sent. In the extensions of the socket, it would leave a table behind that
/// takes 160 bytes as long as the socket lives.
pub(in crate::faces) fn hold<T: Any + Send>(socket: &SocketRef, value: T) {
    if let Some(session) = Session::of(socket) {
        session.hold(socket.ns(), Box::new(value));
    }
}

/// Removes and returns what is [held](hold) for a socket.
pub(in crate::faces) fn take_held<T: Any>(socket: &SocketRef) -> Option<T> {
    Session::of(socket)?.take_held(socket.ns())?.downcast().ok().map(|value| *value)
}

/// The sessions that began by polling, by id.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Sid, Weak<Session>>>);

impl Sessions {
    /// Adds a session with the id in the response to its handshake.
    pub(super) fn opened(&self, id: Sid, session: &Arc<Session>) {
        if session.id.set(id).is_ok() {
            let mut all = self.all();
            if all.len() == all.capacity() {
                all.retain(|_, session| session.strong_count() > 0);
            }
            all.insert(id, Arc::downgrade(session));
        }
    }

    /// The session with this id.
    pub(super) fn find(&self, id: Sid) -> Option<Arc<Session>> {
        self.all().get(&id)?.upgrade()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Sid, Weak<Session>>> {
        self.0.lock()
    }
}
