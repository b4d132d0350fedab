//! What moves a receipt.

use super::ConversationReceipts;
use crate::desk::delivery::Delivery;
use crate::domain::{Entry, EntryEvent, EntryKind, Person, Seq, Side};

impl Delivery {
    /// An entry was published; `is_sent` if it was sent on a live connection of the other side.
    pub(in crate::desk) fn entry_published(&self, event: &EntryEvent, is_sent: bool) {
        self.0.published_up_to.advance(&event.entry);
        let entry = &event.entry;
        if event.parties.conversation.members.is_with_oneself() {
            return;
        }
        match &entry.kind {
            EntryKind::Message(message) => {
                let key = (entry.conversation, entry.side.other());
                self.0.receipts.published(key, (entry.seq, message.id), is_sent);
            }
            EntryKind::Read { up_to } => self.0.receipts.read((entry.conversation, entry.side), *up_to),
            EntryKind::StatusChanged { .. } | EntryKind::Edited { .. } | EntryKind::Deleted { .. } => {}
        }
    }

    /// A person fetched messages: the newest, or all if `is_all`. They count as delivered, unless messages before them were left
    /// out.
    pub(in crate::desk) fn fetched(
        &self,
        side: Side,
        messages: &[Entry],
        is_all: bool,
        receipts: &ConversationReceipts,
    ) {
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
        if is_all || first.seq <= receipts.delivered_to(side).next() {
            self.0.receipts.received((last.conversation, side), last.seq);
        }
    }

    /// A person was sent a message from the log, and all between `after` and it.
    pub(in crate::desk::delivery) fn note_replayed(&self, person: &Person, event: &EntryEvent, after: Seq) {
        let members = event.parties.conversation.members;
        if let Some(side) = members.side_of_person(person)
            && side != event.entry.side
        {
            self.0.receipts.replayed((event.entry.conversation, side), after, event.entry.seq);
        }
    }
}
