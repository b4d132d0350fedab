//! A connected client: the state of one websocket, whatever its dialect, and how the desk reaches it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::message;
use super::send_queue::{Item, SendQueue};
use super::socket::GOING_AWAY;
use crate::desk::Desk;
use crate::desk::messages::{SendMessageError, Sent};
use crate::domain::{ConnectionId, ConversationId, Person};
use crate::limits::{Pace, Paced};
use crate::net::ConnectionHandle;
use crate::presence::{Connection, Ending, Outgoing, Recognized, Revoked, SendOutcome};

/// Close code: policy violation.
const POLICY: u16 = 1008;

/// One connected client of one person.
pub(in crate::faces) struct Client<L> {
    pub(in crate::faces) id: ConnectionId,
    pub(in crate::faces) desk: Desk,
    pub(in crate::faces) person: Arc<Person>,
    pub(in crate::faces) queue: SendQueue<L>,
    pub(in crate::faces) pace: Pace,
    /// Whether the client has access to its room by the room's id alone: the connection then does not count as the person's.
    pub(in crate::faces) is_guest: bool,
    /// The only conversation that it receives; `None` for all.
    room: Option<ConversationId>,
}

/// A dialect's part of a connection. Everything that implements it is a [`Connection`].
#[async_trait]
pub(in crate::faces) trait Dialect: Send + Sync + 'static {
    /// Something whose frames are built only when it is sent; see [`Item::Deferred`].
    type Deferred: Send + 'static;
    /// The part that all dialects share.
    fn client(&self) -> &Client<Self::Deferred>;
    /// Queues the frame of an event, if the dialect has one.
    fn pass_on(&self, outgoing: &Outgoing<'_>) -> SendOutcome;
    /// Close code and reason when the person's access is revoked.
    fn close_frame(&self, reason: Revoked) -> (u16, &'static str);
    /// Whether clients ignore a message that they have already received.
    fn ignores_duplicates(&self) -> bool {
        false
    }
    /// Close code when the server stops.
    fn stop_code(&self) -> u16 {
        GOING_AWAY
    }
    /// Handles a text frame from the client.
    async fn handle(&self, text: &str);
    /// Builds the frames of something deferred.
    async fn load(&self, what: Self::Deferred) -> Vec<String>;
}

impl<L> Client<L> {
    pub(in crate::faces) fn new(
        desk: &Desk,
        person: Arc<Person>,
        room: Option<ConversationId>,
        connection_handle: Option<ConnectionHandle>,
    ) -> (Self, mpsc::Receiver<Item<L>>) {
        let id = ConnectionId::next();
        let (queue, waiting) = SendQueue::new(id, person.id, connection_handle);
        let (desk, pace) = (desk.clone(), Pace::default());
        (Self { id, desk, person, queue, pace, is_guest: false, room }, waiting)
    }

    /// Sends a message on behalf of `author`, and waits until it is stored.
    pub(in crate::faces) async fn send_message(
        &self,
        author: Arc<Person>,
        conversation: ConversationId,
        text: String,
    ) -> Result<Sent, SendMessageError> {
        self.desk.messages.send_and_wait(message(author, conversation, text, self.id)).await
    }

    /// Rejects a frame. Sends `error`, an error frame, up to a rate. A client that sends nothing but rejected frames is
    /// disconnected.
    pub(in crate::faces) fn refuse(&self, error: Option<String>) {
        if self.pace.refused() {
            tracing::warn!(connection.id = %self.id, "Closed a connection after ten seconds of refused requests");
            return self.queue.close(POLICY, "Too many refused messages");
        }
        if let Some(error) = error
            && self.pace.take(Paced::ErrorEvent).is_ok()
        {
            self.queue.frame(error);
        }
    }

    /// Must be called once, when the socket has closed.
    pub(in crate::faces) fn ended(&self, ending: Ending) {
        match self.room.filter(|_| self.is_guest) {
            Some(conversation) => self.desk.attendance.disconnect_guest(conversation, self.id),
            None => self.desk.attendance.disconnect(&self.person, self.id, self.queue.arrived(), ending),
        }
    }
}

impl<D: Dialect> Connection for D {
    fn id(&self) -> ConnectionId {
        self.client().id
    }

    fn send(&self, outgoing: &Outgoing<'_>) -> SendOutcome {
        self.client().queue.deliver(outgoing, || self.pass_on(outgoing))
    }

    fn revoke(&self, reason: Revoked) {
        let (code, reason) = self.close_frame(reason);
        self.client().queue.close(code, reason);
    }

    // No dialect has an event for it.
    fn resend_authenticated(&self) {}

    fn arrived(&self) -> Instant {
        self.client().queue.arrived()
    }

    fn recognized(&self) -> Recognized {
        self.client().room.map_or(Recognized::ByPerson, Recognized::ByRoom)
    }

    fn ping(&self) {
        self.client().queue.push(Item::Ping { must_answer: false }, true);
    }

    fn ignores_duplicates(&self) -> bool {
        Dialect::ignores_duplicates(self)
    }

    fn ping_or_close(&self) {
        self.client().queue.push(Item::Ping { must_answer: true }, true);
    }

    // No dialect has an event for it.
    fn announce_stop(&self, _: Duration) {}

    fn close_gracefully(&self) {
        self.client().queue.close(self.stop_code(), "The server is shutting down");
    }
}
