//! Maps session ids to transports, so that HTTP requests can update them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use axum::http::StatusCode;
use axum::response::Response;
use parking_lot::{Mutex, MutexGuard};
use socketioxide::extract::SocketRef;
use socketioxide::socket::Sid;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::packets::{self, count_events};
use super::portions::Portions;
use super::query::Query;
use super::session::Session;
use super::transport::Transport;
use crate::net::ConnectionHandle;

/// Transports of sockets that started with long-polling, keyed by session. Clones share state.
#[derive(Clone, Default)]
pub(in crate::faces) struct Transports {
    known: Arc<Mutex<HashMap<Sid, Known>>>,
    portions: Portions,
}

enum Known {
    /// The transport of this many sockets, one per namespace.
    Sockets(Weak<Transport>, usize),
    /// A websocket to which the client was upgraded before it connected to a namespace.
    Websocket(ConnectionHandle),
}

impl Known {
    fn websocket(self) -> Option<ConnectionHandle> {
        match self {
            Self::Sockets(transport, _) => transport.upgrade()?.connection_handle().cloned(),
            Self::Websocket(websocket) => Some(websocket),
        }
    }

    fn is_alive(&self) -> bool {
        match self {
            Self::Sockets(transport, _) => transport.strong_count() > 0,
            Self::Websocket(websocket) => websocket.is_open(),
        }
    }
}

impl Transports {
    /// The transport of a new socket.
    pub(in crate::faces) fn of(&self, socket: &SocketRef) -> Arc<Transport> {
        match Session::of(socket).and_then(|session| session.first_websocket()) {
            Some(websocket) => Arc::new(Transport::of_websocket(websocket)),
            None => self.of_polling(socket.id),
        }
    }

    /// The transport of a new socket that began by polling.
    fn of_polling(&self, session: Sid) -> Arc<Transport> {
        let mut all = self.all();
        if let Some(Known::Sockets(known, sockets)) = all.get_mut(&session)
            && let Some(transport) = known.upgrade()
        {
            *sockets += 1;
            return transport;
        }
        let transport = Arc::new(Transport::new());
        let before = insert(&mut all, session, Known::Sockets(Arc::downgrade(&transport), 1));
        if let Some(websocket) = before.and_then(Known::websocket) {
            transport.carry(&websocket);
        }
        transport
    }

    /// Removes a closed socket, with its transport if no other socket uses it. Its client may connect to the namespace again on the
    /// same websocket.
    pub(in crate::faces) fn closed(&self, session: Sid, transport: &Transport) {
        let mut all = self.all();
        // A socket that began with a websocket is not here.
        let Some(Known::Sockets(_, sockets)) = all.get_mut(&session) else { return };
        *sockets -= 1;
        if *sockets > 0 {
            return;
        }
        match transport.connection_handle() {
            Some(websocket) if websocket.is_open() => {
                all.insert(session, Known::Websocket(websocket.clone()));
            }
            Some(_) | None => {
                drop(all.remove(&session));
                self.portions.forget(session);
            }
        }
    }

    /// The next portion of an earlier response; `None` if nothing is held.
    pub(in crate::faces) fn next_portion(&self, session: Sid) -> Option<Response> {
        let portion = self.portions.next(session, self.is_upgrading(session))?;
        self.update_held(session);
        Some(portion)
    }

    /// The first portion of a response. Holds the rest, unless the session is unknown or about to stop polling. Clients of Engine.IO 3
    /// accept any number of packets.
    pub(in crate::faces) async fn first_portion(&self, session: Sid, response: Response, is_eio3: bool) -> Response {
        let is_whole = is_eio3 || self.is_upgrading(session) || !self.all().contains_key(&session);
        let (response, packets) = packets::read(response).await;
        if let Some(transport) = self.transport(session) {
            transport.uncount_events(count_events(&packets, is_eio3));
        }
        if is_whole {
            return response;
        }
        let response = self.portions.first(session, response, packets);
        self.update_held(session);
        response
    }

    fn update_held(&self, session: Sid) {
        if let Some(transport) = self.transport(session) {
            transport.holds_back(self.portions.holds(session));
        }
    }

    /// The transport of a session, if a socket uses it.
    fn transport(&self, session: Sid) -> Option<Arc<Transport>> {
        match self.all().get(&session)? {
            Known::Sockets(transport, _) => transport.upgrade(),
            Known::Websocket(_) => None,
        }
    }

    /// A token that is cancelled when the polling session closes; `None` if the session is unknown.
    pub(in crate::faces) fn ended(&self, session: Sid) -> Option<CancellationToken> {
        self.transport(session)?.ended()
    }

    /// Whether an upgrade of a session is in progress.
    pub(in crate::faces) fn is_upgrading(&self, session: Sid) -> bool {
        match self.all().get(&session) {
            Some(Known::Sockets(transport, _)) => transport.upgrade().is_some_and(|transport| transport.is_upgrading()),
            Some(Known::Websocket(websocket)) => websocket.is_open(),
            None => false,
        }
    }

    /// Notes a new poll.
    pub(in crate::faces) fn polled(&self, query: &Query) {
        if let Some(transport) = self.polling(query) {
            transport.polled();
        }
    }

    /// Notes that the response to the last poll was lost.
    pub(in crate::faces) fn response_lost(&self, query: &Query) {
        if let Some(transport) = self.polling(query) {
            transport.holds_back(true);
        }
    }

    fn polling(&self, query: &Query) -> Option<Arc<Transport>> {
        self.transport(query.session.filter(|_| query.is_polling)?)
    }

    /// Notes that a poll of this session has been waiting since `asked`.
    pub(in crate::faces) fn waits(&self, session: Sid, asked: Instant) {
        if let Some(transport) = self.transport(session) {
            transport.polls_since(asked);
        }
    }

    /// Records the upgrade if this is the response to a successful one.
    pub(in crate::faces) fn responded(
        &self,
        query: &Query,
        status: StatusCode,
        connection_handle: Option<ConnectionHandle>,
    ) {
        let (Some(session), Some(websocket)) = (query.session, connection_handle) else { return };
        if !query.is_websocket || status != StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let mut all = self.all();
        match all.get(&session) {
            Some(Known::Sockets(transport, _)) => {
                if let Some(transport) = transport.upgrade() {
                    transport.carry(&websocket);
                }
            }
            Some(Known::Websocket(_)) => {}
            None => drop(insert(&mut all, session, Known::Websocket(websocket))),
        }
    }

    /// The transport of a polling session whose CONNECT packet has not been sent yet.
    pub(in crate::faces) fn awaiting_connect_packet(&self, query: &Query) -> Option<Arc<Transport>> {
        self.transport(query.session?).filter(|transport| transport.connect_packet.is_due())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Sid, Known>> {
        self.known.lock()
    }
}

/// Inserts an entry. Removes dead ones before the map grows, since some sessions end without a notification.
fn insert(all: &mut HashMap<Sid, Known>, session: Sid, known: Known) -> Option<Known> {
    if all.len() == all.capacity() {
        all.retain(|_, known| known.is_alive());
    }
    all.insert(session, known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sessions_that_end_without_a_notification_do_not_accumulate() {
        let transports = Transports::default();
        for _ in 0..1000 {
            drop(transports.of_polling(Sid::new()));
        }
        assert!(transports.all().len() < 10, "{}", transports.all().len());
    }

    #[tokio::test]
    async fn a_session_is_removed_with_its_last_socket() {
        let (transports, session) = (Transports::default(), Sid::new());
        let (older, newer) = (transports.of_polling(session), transports.of_polling(session));
        assert!(Arc::ptr_eq(&older, &newer), "sockets of one session share its transport");
        transports.closed(session, &older);
        assert_eq!(transports.all().len(), 1, "another socket uses it");
        let poll = Query::of(Some(&format!("EIO=4&transport=polling&sid={session}")));
        let before = newer.polled_at();
        transports.polled(&poll);
        assert!(newer.polled_at() > before);
        transports.polled(&Query::of(Some(&format!("transport=polling&sid={}", Sid::new()))));
        transports.closed(session, &newer);
        assert_eq!(transports.all().len(), 0);
    }
}
