//! Connections that follow one conversation without being anybody's: their client has shown the conversation's name and nothing
//! else, so they count neither as somebody's presence nor as a delivery to them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Connection, Frames, Outgoing, Presence};
use crate::domain::{ConnectionId, ConversationId, DeskEvent, EntryEvent, Seq};

/// The guests of each conversation.
#[derive(Default)]
pub(super) struct Guests(HashMap<ConversationId, Vec<Guest>>);

struct Guest {
    connection: Arc<dyn Connection>,
    /// The last entry it was sent, so that an entry that is announced again is not sent twice.
    last: Seq,
}

impl Guests {
    pub(super) fn connections(&self) -> impl Iterator<Item = &Arc<dyn Connection>> {
        self.0.values().flatten().map(|guest| &guest.connection)
    }
}

impl Presence {
    /// Sends a connection what happens in a conversation from now on.
    pub fn add_guest(&self, conversation: ConversationId, connection: Arc<dyn Connection>) {
        let guest = Guest { connection, last: Seq::ZERO };
        self.state().guests.0.entry(conversation).or_default().push(guest);
    }

    /// The conversations in which there are any.
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

    /// Ends that.
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
    pub fn tell_guests(&self, told: &Arc<EntryEvent>) {
        let due: Vec<Arc<dyn Connection>> = {
            let guests = &mut self.state().guests.0;
            let Some(here) = guests.get_mut(&told.entry.conversation) else { return };
            let due = here.iter_mut().filter(|guest| guest.last < told.entry.seq);
            due.map(|guest| {
                guest.last = told.entry.seq;
                guest.connection.clone()
            })
            .collect()
        };
        let (event, frames) = (DeskEvent::Entry(told.clone()), Frames::default());
        let outgoing = Outgoing { event: &event, viewer: &told.parties.customer, is_replay: false, frames: &frames };
        for connection in due {
            connection.send(&outgoing);
        }
    }
}
