//! To tell what was kept to those whom it concerns.

use std::sync::Arc;

use super::Desk;
use crate::domain::{DeskEvent, EntryTold, Members, UserId};
use crate::presence::Outcome;

impl Desk {
    /// Tells an entry: the other side first, then the author, whose own connection takes it as the confirmation.
    pub(super) fn tell_entry(&self, told: &Arc<EntryTold>) {
        let event = DeskEvent::Entry(told.clone());
        let author = told.entry.author;
        for hearer in self.hearers(told.parties.conversation.members) {
            if hearer != author {
                self.tell_and_note(hearer, &event, told);
            }
        }
        self.tell_and_note(author, &event, told);
    }

    fn tell_and_note(&self, hearer: UserId, event: &DeskEvent, told: &EntryTold) {
        if self.0.presence.tell(hearer, event) == Outcome::Sent {
            self.note_delivery(hearer, told.entry.conversation, told.entry.seq);
        }
    }

    /// Everybody who may hear of a conversation and might be there.
    pub(super) fn hearers(&self, members: Members) -> Vec<UserId> {
        match members {
            Members::Support { customer } => {
                let mut hearers = self.0.presence.agents();
                hearers.retain(|agent| *agent != customer);
                hearers.push(customer);
                hearers
            }
            Members::Direct { first, second } if first == second => vec![first],
            Members::Direct { first, second } => vec![first, second],
        }
    }
}
