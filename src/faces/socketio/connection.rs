//! One socket: the only place in this face that emits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::socket::DisconnectReason;
use socketioxide::{SendError, SocketError};

use super::encode::{self, Encoded};
use super::inbox::Inbox;
use super::unconfirmed::Sent;
use super::wire::{Authenticated, Problem, event};
use crate::desk::Desk;
use crate::domain::{ConnectionId, DeskEvent, Person};
use crate::net::HangUp;
use crate::presence::{Connection, Delivery, Feed, Outcome, Revoked};

/// One live Socket.IO socket.
pub(super) struct SocketConnection {
    id: ConnectionId,
    pub(super) desk: Desk,
    pub(super) inbox: Inbox,
    feed: Feed,
    /// How long it may be dead before that is found out.
    doubtful: Duration,
    state: Mutex<State>,
}

struct State {
    link: Link,
    /// Whose it is; `None` while nobody has authenticated.
    person: Option<Arc<Person>>,
    /// Whether anybody ever tried to authenticate.
    has_spoken: bool,
    unconfirmed: Sent,
}

/// Holds the socket only while it is open, so that nothing keeps it alive before or after.
enum Link {
    Opening,
    Open(SocketRef),
    Closed,
}

impl SocketConnection {
    pub(super) fn new(desk: Desk, doubtful: Duration) -> Arc<Self> {
        let state = State { link: Link::Opening, person: None, has_spoken: false, unconfirmed: Sent::default() };
        Arc::new(Self {
            id: ConnectionId::next(),
            desk,
            inbox: Inbox::default(),
            feed: Feed::default(),
            doubtful,
            state: Mutex::new(state),
        })
    }

    /// To be called once, when the client has been let in. False if it has gone already.
    pub(super) fn opened(&self, socket: SocketRef) -> bool {
        let mut state = self.state();
        let is_opening = matches!(state.link, Link::Opening);
        if is_opening {
            state.link = Link::Open(socket);
        }
        is_opening
    }

    /// Whether the client has gone.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state().link, Link::Closed)
    }

    /// Whose connection it is.
    pub(super) fn person(&self) -> Option<Arc<Person>> {
        self.state().person.clone()
    }

    /// Makes it somebody's, or nobody's; whoever had it before loses it completely.
    pub(super) fn rebind(&self, person: Option<Arc<Person>>) {
        let mut state = self.state();
        state.has_spoken = true;
        let before = std::mem::replace(&mut state.person, person);
        let unconfirmed = std::mem::take(&mut state.unconfirmed);
        drop(state);
        if let Some(before) = before {
            // The socket is alive, so what was sent on it has arrived or will.
            drop(unconfirmed);
            self.desk.disconnect(&before, self.id, Vec::new());
        }
    }

    /// Whether nobody ever tried to authenticate on it, though it is open.
    pub(super) fn is_silent(&self) -> bool {
        let state = self.state();
        matches!(state.link, Link::Open(_)) && !state.has_spoken
    }

    /// The client gave a sign of life: what was sent before has arrived.
    pub(super) fn heard_from(&self) {
        self.state().unconfirmed = Sent::default();
    }

    /// To be called once, when the socket is closed.
    pub(super) fn closed(&self, reason: DisconnectReason) {
        let mut state = self.state();
        state.link = Link::Closed;
        let person = state.person.take();
        let unconfirmed = std::mem::take(&mut state.unconfirmed);
        drop(state);
        tracing::debug!(connection.id = %self.id, %reason, "A socket closed");
        if let Some(person) = person {
            self.desk.disconnect(&person, self.id, unconfirmed.lost(reason, self.doubtful));
        }
    }

    /// Emits an event that concerns this connection alone.
    pub(super) fn emit<T: Serialize + ?Sized>(&self, name: &'static str, payload: &T) -> Outcome {
        let Some(socket) = self.socket() else { return Outcome::Closed };
        self.settle(&socket, socket.emit(name, payload), false)
    }

    /// Answers a client that asked for an answer.
    pub(super) fn acknowledge<T: Serialize>(&self, ack: Option<AckSender>, answer: &T) {
        let Some(ack) = ack else { return };
        let Some(socket) = self.socket() else { return };
        self.settle(&socket, ack.send(answer), false);
    }

    /// Tells a client what is wrong with what it sent: by an answer if it asked for one, and by an `error` event.
    pub(super) fn refuse(&self, ack: Option<AckSender>, problem: &Problem) {
        self.emit(event::ERROR, problem);
        self.acknowledge(ack, &problem.as_answer());
    }

    fn settle(&self, socket: &SocketRef, result: Result<(), SendError>, is_replay: bool) -> Outcome {
        match result {
            Ok(()) => Outcome::Sent,
            Err(SendError::Socket(SocketError::InternalChannelFull)) if is_replay => Outcome::Full,
            Err(SendError::Socket(SocketError::InternalChannelFull)) => {
                self.cut_off(socket);
                Outcome::Closed
            }
            Err(SendError::Socket(SocketError::Closed)) => Outcome::Closed,
            Err(SendError::Serialize(error)) => {
                tracing::error!(%error, "An event could not be encoded");
                Outcome::NotTaken
            }
        }
    }

    /// The client reads too slowly. Its stream has a hole now, so it must come back and catch up.
    fn cut_off(&self, socket: &SocketRef) {
        tracing::warn!(connection.id = %self.id, "Cut off a connection that reads too slowly");
        match socket.req_parts().extensions.get::<HangUp>() {
            Some(hang_up) => hang_up.now(),
            // A polling client has no connection of its own: it ends when it misses its next sign of life.
            None => drop(socket.clone().disconnect()),
        }
    }

    fn send_encoded(&self, socket: &SocketRef, encoded: &Encoded, delivery: &Delivery<'_>) -> Outcome {
        let mut outcome = Outcome::NotTaken;
        for name in encode::names_for(delivery, self.id) {
            let payload: &RawValue = &encoded.0;
            outcome = self.settle(socket, socket.emit(name, payload), delivery.is_replay);
            if outcome != Outcome::Sent {
                break;
            }
        }
        outcome
    }

    fn socket(&self) -> Option<SocketRef> {
        match &self.state().link {
            Link::Open(socket) => Some(socket.clone()),
            Link::Opening | Link::Closed => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection for SocketConnection {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn send(&self, delivery: &Delivery<'_>) -> Outcome {
        let Some(socket) = self.socket() else { return Outcome::Closed };
        let encoded = delivery.frames.get_or_encode("socketio", || encode::encode(delivery.event, delivery.viewer));
        let Some(encoded) = encoded.as_ref() else { return Outcome::NotTaken };
        if let DeskEvent::Entry(told) = delivery.event
            && told.author.id != delivery.viewer.id
        {
            let mut state = self.state();
            // Noted first: if it is closed meanwhile, whoever closes it must know of this entry.
            if matches!(state.link, Link::Closed) {
                return Outcome::Closed;
            }
            state.unconfirmed.note(told.entry.conversation, told.entry.seq, self.doubtful);
        }
        self.send_encoded(&socket, encoded, delivery)
    }

    fn revoke(&self, reason: Revoked) {
        self.rebind(None);
        let message = match reason {
            Revoked::TokenExpired => "Token expired",
            Revoked::Blocked => "Account is blocked.",
            Revoked::Deleted => "Account no longer exists",
            Revoked::RoleChanged => "Account has changed",
        };
        self.emit(event::AUTHENTICATED, &Authenticated::no(message));
    }

    fn reassure(&self) {
        if let Some(person) = self.person() {
            self.emit(event::AUTHENTICATED, &Authenticated::yes(&person));
        }
    }
}
