//! One socket: the only place in this face that emits.

mod answers;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::http::{Extensions, HeaderMap};
use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::extract::SocketRef;
use socketioxide::socket::DisconnectReason;
use socketioxide::{SendError, SocketError};
use tokio::time::Instant;

use super::denials::Denials;
use super::encode::{self, Encoded};
use super::inbox::Inbox;
use super::page::{NOBODY, Page, Returning};
use super::transport::Transport;
use super::wire::{Authenticated, CaughtUp, ServerStopping, event};
use crate::desk::Desk;
use crate::domain::{ConnectionId, DeskEvent, Person, Place};
use crate::limits::Pace;
use crate::net::ServerUrl;
use crate::presence::{Connection, Delivery, Ending, Outcome, Recognized, Revoked};

/// One live Socket.IO socket.
pub(super) struct SocketConnection {
    id: ConnectionId,
    itself: Weak<Self>,
    pub(super) pace: Pace,
    pub(super) desk: Desk,
    pub(super) inbox: Inbox,
    pub(super) denials: Denials,
    pub(super) transport: Arc<Transport>,
    state: Mutex<State>,
    wants_receipts: AtomicBool,
}

struct State {
    stage: Stage,
    /// Whose it is; `None` while nobody has authenticated.
    person: Option<Arc<Person>>,
    /// Whether anybody ever tried to authenticate.
    has_spoken: bool,
    /// `None` of a client that does not take part in recovery.
    page: Option<Box<Page>>,
}

enum Stage {
    /// The client has not been told yet that it is connected.
    Connecting,
    Open(SocketRef),
    /// Nothing may follow what could not be sent: the client shall come back and catch up.
    CutOff,
    /// Nothing keeps the socket alive any more.
    Closed,
}

impl State {
    fn socket(&self) -> Option<&SocketRef> {
        match &self.stage {
            Stage::Open(socket) => Some(socket),
            Stage::Connecting | Stage::CutOff | Stage::Closed => None,
        }
    }
}

impl SocketConnection {
    pub(super) fn new(desk: Desk, transport: Arc<Transport>) -> Arc<Self> {
        let state = State { stage: Stage::Connecting, person: None, has_spoken: false, page: None };
        Arc::new_cyclic(|itself| Self {
            id: ConnectionId::next(),
            itself: itself.clone(),
            pace: Pace::default(),
            desk,
            transport,
            inbox: Inbox::default(),
            denials: Denials::default(),
            state: Mutex::new(state),
            wants_receipts: AtomicBool::new(false),
        })
    }

    /// From now on it can be sent to, unless it has closed already.
    pub(super) fn open(&self, socket: SocketRef) {
        let mut state = self.state();
        if matches!(state.stage, Stage::Connecting) {
            state.stage = Stage::Open(socket);
        }
    }

    /// Whose connection it is.
    pub(super) fn person(&self) -> Option<Arc<Person>> {
        self.state().person.clone()
    }

    /// To be called once the desk has connected it to this person. It may have closed, or been given to somebody else, before
    /// that: then nobody else takes it from them. False if it is not theirs any more.
    pub(super) fn is_connected_to(&self, who: &Arc<Person>) -> bool {
        let state = self.state();
        let is_theirs = state.person.as_ref().is_some_and(|person| person.id == who.id);
        let is_open = state.socket().is_some();
        drop(state);
        if !is_theirs {
            self.desk.disconnect(who, self.id, self.transport.arrived(), Ending::Closed);
        }
        is_theirs && is_open
    }

    /// Makes it somebody's, or nobody's; whoever had it before loses it completely. False if it was theirs already, and
    /// still is.
    pub(super) fn rebind(&self, person: Option<&Arc<Person>>) -> bool {
        // The client is alive, so what was sent to it has arrived or will.
        self.give_to(person, Instant::now(), Ending::Closed)
    }

    /// Where its client finds this server.
    pub(super) fn server_url(&self) -> ServerUrl {
        let socket = self.state().socket().cloned();
        match &socket {
            Some(socket) => ServerUrl::of(&socket.req_parts().headers, &socket.req_parts().extensions),
            None => ServerUrl::of(&HeaderMap::new(), &Extensions::new()),
        }
    }

    /// Its client has shown who it is, so its session counts as claimed from now on.
    pub(super) fn claim(&self) {
        let socket = self.state().socket().cloned();
        if let Some(socket) = socket {
            super::session::claim(&socket);
        }
    }

    /// What was sent before `arrived` to whoever had it before has arrived.
    fn give_to(&self, person: Option<&Arc<Person>>, arrived: Instant, ending: Ending) -> bool {
        let mut state = self.state();
        state.has_spoken = true;
        if matches!(state.stage, Stage::Closed) {
            return true;
        }
        let before = std::mem::replace(&mut state.person, person.cloned());
        let who = |person: &Arc<Person>| (person.id, person.role);
        if before.as_ref().map(who) == person.map(who) {
            return false;
        }
        if let Some(page) = &mut state.page {
            page.unbind();
        }
        drop(state);
        if let Some(before) = before {
            self.desk.disconnect(&before, self.id, arrived, ending);
        }
        true
    }

    /// The client is this page's.
    pub(super) fn set_page(&self, page: Page) {
        self.state().page = Some(Box::new(page));
    }

    /// The id of its page, if it has one.
    pub(super) fn page_id(&self) -> Option<String> {
        self.state().page.as_ref().map(|page| page.id.clone())
    }

    /// Somebody has authenticated on its page.
    pub(super) fn bind_page(&self, binding: String) {
        if let Some(page) = &mut self.state().page {
            page.bind(binding);
        }
    }

    /// Its page has come back.
    pub(super) fn resume_page(&self, returning: &Returning) {
        if let Some(page) = &mut self.state().page {
            page.bind(returning.binding.clone());
            page.set_place(returning.place);
        }
    }

    /// Whether nobody ever tried to authenticate on it, though it is open.
    pub(super) fn is_silent(&self) -> bool {
        let state = self.state();
        state.socket().is_some() && !state.has_spoken
    }

    /// Whether the client wants to be told how far messages have come.
    pub(super) fn want_receipts(&self, wants: bool) {
        self.wants_receipts.store(wants, Ordering::Relaxed);
        if wants {
            self.desk.ask_for_receipts();
        }
    }

    /// Whether answers wait that the client does not take at present.
    pub(super) fn is_stalled(&self) -> bool {
        self.state().socket().is_some() && self.transport.is_stalled()
    }

    /// The client said something.
    pub(super) fn heard_from(&self) {
        self.transport.look_at(self.state().socket());
        self.transport.hear();
    }

    /// To be called once, when the socket is closed.
    pub(super) fn closed(&self, reason: DisconnectReason) {
        let mut state = self.state();
        self.transport.look_at(state.socket());
        let was_cut_off = matches!(std::mem::replace(&mut state.stage, Stage::Closed), Stage::CutOff);
        let person = state.person.take();
        drop(state);
        let ending = match reason {
            _ if was_cut_off => Ending::Broken,
            DisconnectReason::ClosingServer => {
                // The server sends all it has to a websocket before it closes.
                if self.transport.is_websocket() {
                    self.transport.confirm_all();
                }
                self.transport.end();
                Ending::Closed
            }
            DisconnectReason::ClientNSDisconnect => {
                self.transport.end();
                Ending::Closed
            }
            DisconnectReason::TransportClose => {
                self.transport.end();
                Ending::Broken
            }
            DisconnectReason::HeartbeatTimeout => Ending::Silent,
            DisconnectReason::ServerNSDisconnect
            | DisconnectReason::TransportError
            | DisconnectReason::MultipleHttpPollingError
            | DisconnectReason::PacketParsingError => Ending::Broken,
        };
        tracing::debug!(connection.id = %self.id, %reason, "A socket closed");
        if let Some(person) = person {
            self.desk.disconnect(&person, self.id, self.transport.arrived(), ending);
        }
    }

    /// Emits an event that concerns this connection alone.
    pub(super) fn emit<T: Serialize + ?Sized>(&self, name: &'static str, payload: &T) -> Outcome {
        let Some(socket) = self.state().socket().cloned() else { return Outcome::Closed };
        self.settle(socket.emit(name, payload))
    }

    /// Tells whether the client is authenticated. A page learns with it where it is, or that nobody is authenticated on it.
    pub(super) fn emit_authenticated(&self, answer: &Authenticated) {
        let state = self.state();
        let Some(socket) = state.socket().cloned() else { return };
        let offset =
            state.page.as_ref().map(|page| if answer.is_success() { page.offset() } else { NOBODY.to_owned() });
        // Sent while nothing else is, so that offsets arrive in order.
        let sent = match offset {
            Some(offset) => socket.emit(event::AUTHENTICATED, &(answer, offset)),
            None => socket.emit(event::AUTHENTICATED, answer),
        };
        drop(state);
        self.settle(sent);
    }

    /// What became of something that cannot be tried again: if there was no room for it, the connection is cut off.
    fn settle(&self, result: Result<(), SendError>) -> Outcome {
        match outcome(result) {
            Outcome::Full => {
                self.cut_off_slow();
                Outcome::Closed
            }
            outcome => outcome,
        }
    }

    /// Its stream has a hole now, so the client must come back and catch up.
    fn cut_off_slow(&self) {
        if self.cut_off() {
            tracing::warn!(connection.id = %self.id, "Cut off a connection that reads too slowly");
        }
    }

    /// The client must come back and try again, since what it has missed could not be read.
    pub(super) fn give_up(&self) {
        self.cut_off();
    }

    /// False if it was over already.
    fn cut_off(&self) -> bool {
        let mut state = self.state();
        if !matches!(state.stage, Stage::Open(_)) {
            return false;
        }
        state.stage = Stage::CutOff;
        drop(state);
        if let Some(websocket) = self.transport.hang_up() {
            websocket.now();
            return true;
        }
        // Not by a farewell to the namespace: stock clients stay away after that.
        self.transport.end_session();
        true
    }

    fn send_encoded(&self, state: &mut State, encoded: &Encoded, delivery: &Delivery<'_>) -> Outcome {
        let Some(socket) = state.socket().cloned() else { return Outcome::Closed };
        self.transport.look_at(Some(&socket));
        if !self.transport.has_room_for(delivery.viewer.id, encoded.0.get().len()) {
            return Outcome::Full;
        }
        let names = encode::names_for(delivery, self.id);
        let offset = match (delivery.event, &mut state.page) {
            (DeskEvent::Entry(told), Some(page)) if told.entry.message().is_some() && !names.is_empty() => {
                page.advance(told, delivery.viewer.id)
            }
            _ => None,
        };
        let mut sent = Outcome::NotTaken;
        for name in names {
            let payload: &RawValue = &encoded.0;
            sent = outcome(match &offset {
                Some(offset) => socket.emit(name, &(payload, offset)),
                None => socket.emit(name, payload),
            });
            if sent != Outcome::Sent {
                return sent;
            }
        }
        sent
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection for SocketConnection {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn arrived(&self) -> Instant {
        self.transport.look_at(self.state().socket());
        self.transport.arrived()
    }

    fn recognized(&self) -> Recognized {
        self.page_id().map_or(Recognized::ByPerson, Recognized::ByPage)
    }

    fn ask(&self) {
        self.transport.ask();
    }

    fn ask_or_close(&self) {
        let Some(connection) = self.itself.upgrade() else { return };
        tokio::spawn(async move {
            if !connection.transport.answers().await {
                tracing::debug!(connection.id = %connection.id, "A client is not there any more: its person has come back");
                connection.give_to(None, connection.transport.arrived(), Ending::Silent);
                connection.cut_off();
            }
        });
    }

    fn caught_up(&self, place: Place) {
        let mut state = self.state();
        let Some(page) = &mut state.page else { return };
        page.set_place(Some(place));
        let offset = page.offset();
        let Some(socket) = state.socket().cloned() else { return };
        let sent = socket.emit(event::CAUGHT_UP, &(CaughtUp {}, offset));
        drop(state);
        self.settle(sent);
    }

    fn retire(&self, has_named_place: bool) {
        let ending = if has_named_place { Ending::Closed } else { Ending::Broken };
        self.give_to(None, self.transport.arrived(), ending);
        self.cut_off();
    }

    fn announce_stop(&self, come_back: Duration) {
        self.emit(event::SERVER_STOPPING, &ServerStopping::new(come_back));
    }

    /// The stock client comes back by itself when it loses its transport, but not when it is told to disconnect. One that
    /// polls loses it together with the server.
    fn dismiss(&self) {
        let mut state = self.state();
        let Some(websocket) = self.transport.hang_up().filter(|_| state.socket().is_some()) else {
            return self.transport.end();
        };
        state.stage = Stage::CutOff;
        drop(state);
        if self.transport.is_websocket() && !websocket.has_unsent() {
            self.transport.confirm_all();
        }
        websocket.now();
    }

    fn wants_receipts(&self) -> bool {
        self.wants_receipts.load(Ordering::Relaxed)
    }

    fn send(&self, delivery: &Delivery<'_>) -> Outcome {
        if matches!(delivery.event, DeskEvent::Status(_)) && !self.wants_receipts() {
            return Outcome::NotTaken;
        }
        let server_url = delivery.shows_link().then(|| self.server_url());
        let server_url = server_url.as_ref().map(ServerUrl::as_str);
        let encoded = delivery.frames.get_or_encode("socketio", server_url, || {
            encode::encode(delivery.event, delivery.viewer, server_url.unwrap_or_default())
        });
        let Some(encoded) = encoded.as_ref() else { return Outcome::NotTaken };
        let mut state = self.state();
        // It may have become somebody else's since the event was addressed; once they are told so, nothing else may follow.
        if state.person.as_ref().is_none_or(|person| person.id != delivery.viewer.id) {
            return Outcome::Closed;
        }
        let sent = self.send_encoded(&mut state, encoded, delivery);
        drop(state);
        if sent == Outcome::Full && !delivery.is_replay {
            self.cut_off_slow();
            return Outcome::Closed;
        }
        sent
    }

    fn revoke(&self, reason: Revoked) {
        // It may be dead as well as alive.
        self.give_to(None, self.transport.arrived(), Ending::Closed);
        let message = match reason {
            Revoked::TokenExpired => "Token expired",
            Revoked::Blocked => "Account is blocked.",
            Revoked::Deleted => "Account no longer exists",
            Revoked::RoleChanged => "Account has changed",
            Revoked::SessionEnded => "Session has ended",
        };
        self.denials.note();
        self.emit_authenticated(&Authenticated::no(message));
    }

    fn reassure(&self) {
        if let Some(person) = self.person() {
            self.emit_authenticated(&Authenticated::yes(&person));
        }
    }
}

fn outcome(result: Result<(), SendError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Sent,
        Err(SendError::Socket(SocketError::InternalChannelFull)) => Outcome::Full,
        Err(SendError::Socket(SocketError::Closed)) => Outcome::Closed,
        Err(SendError::Serialize(error)) => {
            tracing::error!(%error, "An event could not be encoded");
            Outcome::NotTaken
        }
    }
}
