//! The connection as the desk sees it.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{SocketConnection, Stage, State, outcome};
use crate::domain::{ConnectionId, DeskEvent, Place};
use crate::faces::dashboard::wire::encode::{self, Encoded};
use crate::faces::dashboard::wire::{Authenticated, CaughtUp, ServerStopping, event};
use crate::net::{Closable, ServerUrl};
use crate::presence::{Connection, Ending, Outgoing, Recognized, Revoked, SendOutcome};

impl Connection for SocketConnection {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn arrived(&self) -> Instant {
        self.update_transport();
        self.transport.arrived()
    }

    fn recognized(&self) -> Recognized {
        self.page_id().map_or(Recognized::ByPerson, Recognized::ByPage)
    }

    fn is_new_page(&self) -> bool {
        self.state().page.as_ref().is_some_and(|page| !page.has_returned)
    }

    fn ping(&self) {
        self.transport.ping();
    }

    fn ping_or_close(&self) {
        let Some(connection) = self.itself.upgrade() else { return };
        if self.is_being_pinged.swap(true, Ordering::Relaxed) {
            return;
        }
        tokio::spawn(async move {
            let is_alive = connection.transport.is_alive().await;
            connection.is_being_pinged.store(false, Ordering::Relaxed);
            if !is_alive {
                tracing::debug!(connection.id = %connection.id, "Closed a dead connection: its person has reconnected");
                connection.change_person(None, connection.transport.arrived(), Ending::Silent);
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
        let sent = self.queue(&socket, event::CAUGHT_UP, &(CaughtUp {}, offset));
        drop(state);
        self.settle(sent);
    }

    fn retire(&self, has_named_place: bool) {
        let ending = if has_named_place { Ending::Closed } else { Ending::Broken };
        self.change_person(None, self.transport.arrived(), ending);
        self.cut_off();
    }

    fn announce_stop(&self, reconnect_after: Duration) {
        self.emit(event::SERVER_STOPPING, &ServerStopping::new(reconnect_after));
    }

    /// Closes the websocket, because the stock client reconnects after it loses its transport, but not after a DISCONNECT packet. A
    /// polling client loses its transport when the server stops.
    fn close_gracefully(&self) {
        let mut state = self.state();
        let Some(websocket) = self.transport.connection_handle().filter(|_| state.socket().is_some()) else {
            return;
        };
        state.stage = Stage::CutOff;
        drop(state);
        websocket.abort();
    }

    fn wants_receipts(&self) -> bool {
        self.wants_receipts.load(Ordering::Relaxed)
    }

    fn send(&self, outgoing: &Outgoing<'_>) -> SendOutcome {
        if matches!(outgoing.event, DeskEvent::Status(_)) && !self.wants_receipts() {
            return SendOutcome::NotTaken;
        }
        let server_url = outgoing.shows_link().then(|| self.server_url());
        let server_url = server_url.as_ref().map(ServerUrl::as_str);
        let encoded = outgoing.frames.get_or_encode("socketio", server_url, || {
            encode::encode(outgoing.event, outgoing.viewer, server_url.unwrap_or_default())
        });
        let Some(encoded) = encoded.as_ref() else { return SendOutcome::NotTaken };
        let mut state = self.state();
        // Somebody else may have authenticated since the event was addressed.
        if state.person.as_ref().is_none_or(|person| person.id != outgoing.viewer.id) {
            return SendOutcome::Closed;
        }
        let sent = self.send_encoded(&mut state, encoded, outgoing);
        drop(state);
        if sent == SendOutcome::Full && !outgoing.is_replay {
            self.cut_off_slow();
            return SendOutcome::Closed;
        }
        sent
    }

    fn revoke(&self, reason: Revoked) {
        // With what has provably arrived, since the client may be dead.
        self.change_person(None, self.transport.arrived(), Ending::Closed);
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

    fn resend_authenticated(&self) {
        if let Some(person) = self.person() {
            self.emit_authenticated(&Authenticated::yes(&person));
        }
    }
}

impl Closable for Weak<SocketConnection> {
    fn is_open(&self) -> bool {
        self.strong_count() > 0
    }

    fn close(&self) {
        if let Some(connection) = self.upgrade() {
            connection.retire(false);
        }
    }
}

impl SocketConnection {
    fn send_encoded(&self, state: &mut State, encoded: &Encoded, outgoing: &Outgoing<'_>) -> SendOutcome {
        let Some(socket) = state.socket().cloned() else { return SendOutcome::Closed };
        self.transport.update(Some(&socket));
        if !self.transport.has_room_for(outgoing.viewer.id, encoded.0.get().len()) {
            return SendOutcome::Full;
        }
        let names = encode::names_for(outgoing, self.id);
        let offset = match (outgoing.event, &mut state.page) {
            (DeskEvent::Entry(event), Some(page)) if event.entry.message().is_some() && !names.is_empty() => {
                page.advance(event, outgoing.viewer.id)
            }
            _ => None,
        };
        let mut sent = SendOutcome::NotTaken;
        for name in names {
            let payload: &RawValue = &encoded.0;
            sent = outcome(match &offset {
                Some(offset) => self.queue(&socket, name, &(payload, offset)),
                None => self.queue(&socket, name, payload),
            });
            if sent != SendOutcome::Sent {
                return sent;
            }
        }
        sent
    }
}
