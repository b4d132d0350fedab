//! One session of the transport: what its handshake has shown, and how it can be ended.
//!
//! A session id is no credential: it has 96 random bits, and stands in addresses, which end up in logs. So a request that names a
//! session has to show what its handshake has shown, or to come the same way.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use axum::http::HeaderMap;
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest as _, Sha256};
use socketioxide::extract::SocketRef;
use socketioxide::socket::Sid;

use super::admission::Place;
use super::handshake::Handshake;
use super::repeats::Repeats;
use crate::accounts::Accounts;
use crate::auth::Subject;
use crate::faces::http::credentials::{cookie_token, header_token};
use crate::limits::Route;
use crate::net::HangUp;

/// What a request has shown of who it comes from.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    token: Option<Token>,
    route: Route,
    /// Browsers let no page add a header to a websocket's handshake.
    is_websocket: bool,
}

#[derive(Debug, Clone)]
struct Token {
    digest: [u8; 32],
    /// Whose it is, if it is good.
    subject: Option<Subject>,
}

impl Shown {
    pub(super) fn of(accounts: &Accounts, headers: &HeaderMap, route: Route, is_websocket: bool) -> Self {
        let token = token(headers).map(|token| Token {
            digest: Sha256::digest(token.as_bytes()).into(),
            subject: accounts.subject_of(token),
        });
        Self { token, route, is_websocket }
    }

    /// Whose good token it is.
    pub(super) fn subject(&self) -> Option<Subject> {
        self.token.as_ref()?.subject
    }

    /// Whether a request that shows `other` may speak for a session whose handshake has shown this.
    fn admits(&self, other: &Self) -> bool {
        let is_same_way = self.route == other.route;
        match (&self.token, &other.token) {
            (None, _) => is_same_way,
            (Some(_), None) => is_same_way && other.is_websocket,
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

/// How a session can be ended.
#[derive(Debug)]
pub(super) enum End {
    /// By ending its websocket.
    Websocket(HangUp),
    /// By a closing packet in its name.
    Polling(Sid),
    /// It is not known yet.
    Nothing,
}

/// One session. It lies with the request of its handshake, which the library keeps for as long as the session is there.
pub(super) struct Session {
    shown: Shown,
    pub(super) handshake: Handshake,
    id: OnceLock<Sid>,
    websocket: OnceLock<HangUp>,
    /// Its place among those that nobody has claimed.
    place: Mutex<Option<Place>>,
    repeats: Option<Box<Mutex<Repeats>>>,
}

impl Session {
    pub(super) fn open(
        place: Place,
        shown: Shown,
        handshake: Handshake,
        hang_up: Option<HangUp>,
        repeats: Option<Repeats>,
    ) -> Arc<Self> {
        let websocket = OnceLock::new();
        if let Some(hang_up) = hang_up.filter(|_| handshake.is_websocket) {
            drop(websocket.set(hang_up));
        }
        let repeats = repeats.map(|repeats| Box::new(Mutex::new(repeats)));
        let session =
            Arc::new(Self { shown, handshake, id: OnceLock::new(), websocket, place: Mutex::new(None), repeats });
        place.is_of(&session);
        *session.place.lock() = Some(place);
        session
    }

    /// The session that a socket belongs to; `None` if the request of its handshake did not pass the guard.
    pub(super) fn of(socket: &SocketRef) -> Option<&Arc<Self>> {
        socket.req_parts().extensions.get()
    }

    /// Whether a request that shows this may speak for it.
    pub(super) fn admits(&self, shown: &Shown) -> bool {
        self.shown.admits(shown)
    }

    /// It continues on this websocket.
    pub(super) fn upgraded(&self, websocket: HangUp) {
        drop(self.websocket.set(websocket));
    }

    /// Recognizes repeated requests; `None` if it does not poll from a browser.
    pub(super) fn repeats(&self) -> Option<&Mutex<Repeats>> {
        self.repeats.as_deref()
    }

    /// The websocket that it began with; `None` if it began by polling.
    pub(super) fn first_websocket(&self) -> Option<&HangUp> {
        self.websocket.get().filter(|_| self.handshake.is_websocket)
    }

    /// Gives its place away, while the library may still keep the rest of it for some seconds.
    pub(super) fn vacate(&self) {
        drop(self.place.lock().take());
    }

    /// How it can be ended.
    pub(super) fn end(&self) -> End {
        match (self.websocket.get(), self.id.get()) {
            (Some(websocket), _) => End::Websocket(websocket.clone()),
            (None, Some(id)) => End::Polling(*id),
            (None, None) => End::Nothing,
        }
    }
}

/// The client on this socket has shown who it is.
pub(in crate::faces) fn claim(socket: &SocketRef) {
    if let Some(session) = Session::of(socket) {
        session.vacate();
    }
}

/// The sessions that began by polling, by their ids.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Sid, Weak<Session>>>);

impl Sessions {
    /// The handshake was answered with this id.
    pub(super) fn opened(&self, id: Sid, session: &Arc<Session>) {
        if session.id.set(id).is_ok() {
            let mut all = self.all();
            if all.len() == all.capacity() {
                all.retain(|_, session| session.strong_count() > 0);
            }
            all.insert(id, Arc::downgrade(session));
        }
    }

    /// The session of this id.
    pub(super) fn find(&self, id: Sid) -> Option<Arc<Session>> {
        self.all().get(&id)?.upgrade()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Sid, Weak<Session>>> {
        self.0.lock()
    }
}
