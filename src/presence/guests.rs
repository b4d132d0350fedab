//! Guests: connections to one conversation whose client knows its name and has shown nothing else. They belong to nobody, so they make
//! nobody present, and nothing counts as delivered to anybody.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Connection, Frames, Outgoing, Presence};
use crate::domain::{ConnectionId, ConversationId, DeskEvent, EntryEvent, Seq};

/// The guests of each conversation.
#[derive(Default)]
pub(super) struct Guests(HashMap<ConversationId, Vec<Guest>>);

struct Guest {
    connection: Arc<dyn Connection>,
    /// The last entry it was sent, so that an entry that is published again is not sent twice.
    last: Seq,
}

impl Guests {
    pub(super) fn connections(&self) -> impl Iterator<Item = &Arc<dyn Connection>> {
        self.0.values().flatten().map(|guest| &guest.connection)
    }
}

impl Presence {
    /// Adds a connection to which entries of a conversation are sent from now on.
    pub fn add_guest(&self, conversation: ConversationId, connection: Arc<dyn Connection>) {
        let guest = Guest { connection, last: Seq::ZERO };
        self.state().guests.0.entry(conversation).or_default().push(guest);
    }

    /// The conversations that have guests.
    #[must_use]
    pub fn guests_are_in(&self) -> Vec<ConversationId> {
        self.state().guests.0.keys().copied().collect()
    }

    /// The guests of a conversation.
    #[must_use]
    pub fn guests_of(&self, conversation: ConversationId) -> Vec<Arc<dyn Connection>> {
        let state = self.state();
        let here = state.guests.0.get(&conversation);
        here.into_iter().flatten().map(|guest| guest.connection.clone()).collect()
    }

    /// Removes a guest.
    pub fn remove_guest(&self, conversation: ConversationId, connection: ConnectionId) {
        let guests = &mut self.state().guests.0;
        if let Some(here) = guests.get_mut(&conversation) {
            here.retain(|guest| guest.connection.id() != connection);
            if here.is_empty() {
                guests.remove(&conversation);
            }
        }
    }

    /// Sends an entry to the guests of its conversation, who see it as its customer does.
    pub fn send_to_guests(&self, event: &Arc<EntryEvent>) {
        let due: Vec<Arc<dyn Connection>> = {
            let guests = &mut self.state().guests.0;
            let Some(here) = guests.get_mut(&event.entry.conversation) else { return };
            let due = here.iter_mut().filter(|guest| guest.last < event.entry.seq);
            due.map(|guest| {
                guest.last = event.entry.seq;
                guest.connection.clone()
            })
            .collect()
        };
        let (desk_event, frames) = (DeskEvent::Entry(event.clone()), Frames::default());
        let outgoing =
            Outgoing { event: &desk_event, viewer: &event.parties.customer, is_replay: false, frames: &frames };
        for connection in due {
            connection.send(&outgoing);
        }
    }
}
