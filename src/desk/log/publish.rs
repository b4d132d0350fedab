//! Publishes stored entries to the people whom they concern.

use std::sync::Arc;

use crate::desk::Desk;
use crate::domain::{DeskEvent, EntryEvent, Members, UserId};
use crate::presence::Outcome;

impl Desk {
    /// Tells an entry: the other side first, then the author, whose own connection takes it as the confirmation.
    pub(in crate::desk) fn tell_entry(&self, told: &Arc<EntryEvent>) {
        let author = told.entry.author;
        let mut recipients = self.recipients(told.parties.conversation.members);
        recipients.retain(|recipient| *recipient != author);
        recipients.push(author);
        self.tell_entry_to(told, recipients);
    }

    /// Tells an entry to these people, in this order.
    pub(in crate::desk) fn tell_entry_to(&self, told: &Arc<EntryEvent>, recipients: Vec<UserId>) {
        let event = DeskEvent::Entry(told.clone());
        let members = told.parties.conversation.members;
        let mut is_handed = false;
        for recipient in recipients {
            let is_across = recipient != told.entry.author && members.side_of(recipient, true) != Some(told.entry.side);
            is_handed |= self.0.presence.tell(recipient, &event) == Outcome::Sent && is_across;
        }
        self.0.published_up_to.advance(&told.entry);
        self.0.presence.tell_guests(told);
        self.note_told(told, is_handed);
    }

    /// Everybody who may hear of a conversation and might be there.
    pub(in crate::desk) fn recipients(&self, members: Members) -> Vec<UserId> {
        match members {
            Members::Support { customer } => {
                let mut recipients = self.0.presence.agents();
                recipients.retain(|agent| *agent != customer);
                recipients.push(customer);
                recipients
            }
            Members::Direct { first, second } if first == second => vec![first],
            Members::Direct { first, second } => vec![first, second],
        }
    }
}
