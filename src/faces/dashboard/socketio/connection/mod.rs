//! One socket: the only place in this face that emits.

mod answers;
mod from_desk;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use axum::http::{Extensions, HeaderMap};
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use socketioxide::extract::SocketRef;
use socketioxide::socket::DisconnectReason;
use socketioxide::{SendError, SocketError};
use tokio::time::Instant;

use super::denials::Denials;
use super::inbox::Inbox;
use super::page::{NOBODY, Page, Returning};
use crate::desk::Desk;
use crate::domain::{ConnectionId, Person};
use crate::faces::dashboard::wire::{Authenticated, event};
use crate::faces::socketio::handshake::Handshake;
use crate::faces::socketio::transport::Transport;
use crate::limits::Pace;
use crate::net::ServerUrl;
use crate::presence::{Ending, Outcome};

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
            Some(socket) => Handshake::of(socket).server_url.clone(),
            None => ServerUrl::of(&HeaderMap::new(), &Extensions::new()),
        }
    }

    /// Its client has shown who it is, so its session counts as claimed from now on.
    pub(super) fn claim(&self) {
        let socket = self.state().socket().cloned();
        if let Some(socket) = socket {
            crate::faces::socketio::session::claim(&socket);
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
        if matches!(state.stage, Stage::CutOff | Stage::Closed) {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

fn outcome(result: Result<(), SendError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Sent,
        Err(SendError::Socket(SocketError::InternalChannelFull)) => Outcome::Full,
        Err(SendError::Socket(SocketError::Closed)) => Outcome::Closed,
        Err(SendError::Serialize(error)) => {
            tracing::error!(%error, "Could not encode an event");
            Outcome::NotTaken
        }
    }
}
