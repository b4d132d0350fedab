//! Publishes stored entries to the people whom they concern.

use std::sync::Arc;

use super::Desk;
use crate::domain::{DeskEvent, EntryTold, Members, UserId};
use crate::presence::Outcome;

impl Desk {
    /// Tells an entry: the other side first, then the author, whose own connection takes it as the confirmation.
    pub(super) fn tell_entry(&self, told: &Arc<EntryTold>) {
        let author = told.entry.author;
        let mut hearers = self.hearers(told.parties.conversation.members);
        hearers.retain(|hearer| *hearer != author);
        hearers.push(author);
        self.tell_entry_to(told, hearers);
    }

    /// Tells an entry to these people, in this order.
    pub(super) fn tell_entry_to(&self, told: &Arc<EntryTold>, hearers: Vec<UserId>) {
        let event = DeskEvent::Entry(told.clone());
        let members = told.parties.conversation.members;
        let mut is_handed = false;
        for hearer in hearers {
            let is_across = hearer != told.entry.author && members.side_of(hearer, true) != Some(told.entry.side);
            is_handed |= self.0.presence.tell(hearer, &event) == Outcome::Sent && is_across;
        }
        self.0.told_up_to.advance(&told.entry);
        self.0.presence.tell_guests(told);
        self.note_told(told, is_handed);
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
