//! One socket: the only place that emits events.

mod acknowledge;
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
use crate::presence::{Ending, SendOutcome};

/// One Socket.IO socket.
pub(super) struct SocketConnection {
    id: ConnectionId,
    itself: Weak<Self>,
    pub(super) pace: Pace,
    pub(super) desk: Arc<Desk>,
    pub(super) inbox: Inbox,
    pub(super) denials: Denials,
    pub(super) transport: Arc<Transport>,
    state: Mutex<State>,
    wants_receipts: AtomicBool,
    /// Whether its client is being pinged because its person has connected elsewhere.
    is_being_pinged: AtomicBool,
}

struct State {
    stage: Stage,
    /// Who is authenticated; `None` for nobody.
    person: Option<Arc<Person>>,
    /// Whether the client ever tried to authenticate.
    has_tried: bool,
    /// `None` if the client does not take part in recovery.
    page: Option<Box<Page>>,
}

enum Stage {
    /// The CONNECT packet has not been sent yet.
    Connecting,
    Open(SocketRef),
    /// Something could not be sent, so nothing may follow: the client must reconnect and catch up.
    CutOff,
    /// The socket has closed.
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
    pub(super) fn new(desk: Arc<Desk>, transport: Arc<Transport>) -> Arc<Self> {
        let state = State { stage: Stage::Connecting, person: None, has_tried: false, page: None };
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
            is_being_pinged: AtomicBool::new(false),
        })
    }

    /// Allows events to be sent, unless the socket has closed already.
    pub(super) fn open(&self, socket: SocketRef) {
        let mut state = self.state();
        if matches!(state.stage, Stage::Connecting) {
            state.stage = Stage::Open(socket);
        }
    }

    /// Who is authenticated.
    pub(super) fn person(&self) -> Option<Arc<Person>> {
        self.state().person.clone()
    }

    /// Must be called after the desk has connected it to a person. If it has closed in the meantime, or somebody else has authenticated,
    /// this disconnects it from that person. Returns whether it is still theirs and open.
    pub(super) fn is_connected_to(&self, who: &Arc<Person>) -> bool {
        let state = self.state();
        let is_theirs = state.person.as_ref().is_some_and(|person| person.id == who.id);
        let is_open = state.socket().is_some();
        drop(state);
        if !is_theirs {
            self.desk.attendance.disconnect(who, self.id, self.transport.arrived(), Ending::Closed);
        }
        is_theirs && is_open
    }

    /// Changes who is authenticated; `None` for nobody. Disconnects the person before. Returns false if the person is the same.
    pub(super) fn rebind(&self, person: Option<&Arc<Person>>) -> bool {
        self.change_person(person, self.transport.arrived(), Ending::Closed)
    }

    /// URL at which its client reaches this server.
    pub(super) fn server_url(&self) -> ServerUrl {
        let socket = self.state().socket().cloned();
        match &socket {
            Some(socket) => Handshake::of(socket).server_url.clone(),
            None => ServerUrl::of(&HeaderMap::new(), &Extensions::new()),
        }
    }

    /// Marks its session as claimed: the client has authenticated.
    pub(super) fn claim(&self) {
        let socket = self.state().socket().cloned();
        if let Some(socket) = socket {
            crate::faces::socketio::session::claim(&socket);
        }
    }

    /// Like [`rebind`](Self::rebind). `arrived`: everything that was sent to the previous person before this instant has arrived.
    fn change_person(&self, person: Option<&Arc<Person>>, arrived: Instant, ending: Ending) -> bool {
        let mut state = self.state();
        state.has_tried = true;
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
            self.desk.attendance.disconnect(&before, self.id, arrived, ending);
        }
        true
    }

    /// Sets the page of its client.
    pub(super) fn set_page(&self, page: Page) {
        self.state().page = Some(Box::new(page));
    }

    /// The `pid` of its page, if it takes part in recovery.
    pub(super) fn page_id(&self) -> Option<String> {
        self.state().page.as_ref().map(|page| page.id.clone())
    }

    /// Sets who is authenticated on its page.
    pub(super) fn bind_page(&self, binding: String) {
        if let Some(page) = &mut self.state().page {
            page.bind(binding);
        }
    }

    /// Restores the state of its page, which has reconnected.
    pub(super) fn resume_page(&self, returning: &Returning) {
        if let Some(page) = &mut self.state().page {
            page.has_returned = true;
            page.bind(returning.binding.clone());
            page.set_place(returning.place);
        }
    }

    /// Whether it is open, and the client never tried to authenticate.
    pub(super) fn is_silent(&self) -> bool {
        let state = self.state();
        state.socket().is_some() && !state.has_tried
    }

    /// Sets whether the client wants `message-status`.
    pub(super) fn want_receipts(&self, wants: bool) {
        self.wants_receipts.store(wants, Ordering::Relaxed);
        if wants {
            self.desk.delivery.ask_for_receipts();
        }
    }

    /// Whether the client does not read the acknowledgements that are queued for it.
    pub(super) fn is_stalled(&self) -> bool {
        self.state().socket().is_some() && self.transport.is_stalled()
    }

    /// Checks what carries the socket, which may have changed.
    pub(super) fn update_transport(&self) {
        self.transport.update(self.state().socket());
    }

    /// Must be called once, when the socket has closed.
    pub(super) fn closed(&self, reason: DisconnectReason) {
        let mut state = self.state();
        self.transport.update(state.socket());
        let was_cut_off = matches!(std::mem::replace(&mut state.stage, Stage::Closed), Stage::CutOff);
        let person = state.person.take();
        drop(state);
        let ending = match reason {
            _ if was_cut_off => Ending::Broken,
            DisconnectReason::ClosingServer | DisconnectReason::ClientNSDisconnect => Ending::Closed,
            DisconnectReason::HeartbeatTimeout => Ending::Silent,
            DisconnectReason::TransportClose
            | DisconnectReason::ServerNSDisconnect
            | DisconnectReason::TransportError
            | DisconnectReason::MultipleHttpPollingError
            | DisconnectReason::PacketParsingError => Ending::Broken,
        };
        tracing::debug!(connection.id = %self.id, %reason, "A socket closed");
        if let Some(person) = person {
            self.desk.attendance.disconnect(&person, self.id, self.transport.arrived(), ending);
        }
    }

    /// Emits an event to this connection only.
    pub(super) fn emit<T: Serialize + ?Sized>(&self, name: &'static str, payload: &T) -> SendOutcome {
        let Some(socket) = self.state().socket().cloned() else { return SendOutcome::Closed };
        self.settle(self.queue(&socket, name, payload))
    }

    /// Queues an event for the client.
    fn queue<T: Serialize + ?Sized>(&self, socket: &SocketRef, name: &str, payload: &T) -> Result<(), SendError> {
        self.transport.count_event();
        let queued = socket.emit(name, payload);
        if queued.is_err() {
            self.transport.uncount_events(1);
        }
        queued
    }

    /// Emits `authenticated`, to pages with their offset.
    pub(super) fn emit_authenticated(&self, answer: &Authenticated) {
        let state = self.state();
        let Some(socket) = state.socket().cloned() else { return };
        let offset =
            state.page.as_ref().map(|page| if answer.is_success() { page.offset() } else { NOBODY.to_owned() });
        // Sent under the lock, so that offsets arrive in order.
        let sent = match offset {
            Some(offset) => self.queue(&socket, event::AUTHENTICATED, &(answer, offset)),
            None => self.queue(&socket, event::AUTHENTICATED, answer),
        };
        drop(state);
        self.settle(sent);
    }

    /// The outcome of an event that is not retried: if the queue was full, the connection is closed.
    fn settle(&self, result: Result<(), SendError>) -> SendOutcome {
        match outcome(result) {
            SendOutcome::Full => {
                self.cut_off_slow();
                SendOutcome::Closed
            }
            outcome => outcome,
        }
    }

    /// Closes the connection after an event was lost: the client must reconnect and catch up.
    fn cut_off_slow(&self) {
        if self.cut_off() {
            tracing::warn!(connection.id = %self.id, "Closed a connection that reads too slowly");
        }
    }

    /// Closes the connection after a failure: the client must reconnect and try again.
    pub(super) fn give_up(&self) {
        self.cut_off();
    }

    /// Closes the transport. Returns false if it was closed or cut off already.
    fn cut_off(&self) -> bool {
        let mut state = self.state();
        if matches!(state.stage, Stage::CutOff | Stage::Closed) {
            return false;
        }
        state.stage = Stage::CutOff;
        drop(state);
        if let Some(websocket) = self.transport.connection_handle() {
            websocket.abort();
            return true;
        }
        // Without a DISCONNECT packet, after which stock clients do not reconnect.
        self.transport.end_session();
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

fn outcome(result: Result<(), SendError>) -> SendOutcome {
    match result {
        Ok(()) => SendOutcome::Sent,
        Err(SendError::Socket(SocketError::InternalChannelFull)) => SendOutcome::Full,
        Err(SendError::Socket(SocketError::Closed)) => SendOutcome::Closed,
        Err(SendError::Serialize(error)) => {
            tracing::error!(%error, "Could not encode an event");
            SendOutcome::NotTaken
        }
    }
}
