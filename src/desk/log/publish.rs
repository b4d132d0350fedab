//! Publishes stored entries to the people whom they concern.

use std::sync::Arc;

use super::Log;
use super::store::BreakOnPanic;
use super::submission::{Publication, Purpose, Sent, Stored};
use crate::domain::{DeskEvent, Entry, EntryEvent, UserId};
use crate::presence::SendOutcome;
use crate::store::Appended;

impl Log {
    /// Publishes a batch in its order, and reports the outcome of each entry to its caller.
    pub(super) async fn publish_batch(self, batch: Vec<Stored>) {
        let _guard = BreakOnPanic(&self);
        // On a store with gaps to fill, all entries of a batch are of one conversation.
        let mut is_blocked = false;
        for (Publication { parties, author, origin, about, purpose, waiting }, result) in batch {
            let conversation = parties.conversation;
            let may_be_stored = about.is_some() || purpose == Purpose::Check;
            let event = |entry: Entry| {
                let message = entry.message().or(about.as_deref());
                let attachment_path = message.and_then(|message| self.0.events.attachment_path(message));
                Arc::new(EntryEvent { parties, entry, author, origin, attachment_path, about: None })
            };
            let outcome = match result {
                Ok(Appended::New(entry)) => {
                    let event = event(entry);
                    is_blocked = is_blocked || !self.publish_missing_before(&event).await;
                    if is_blocked {
                        self.hold_back(&event);
                    } else {
                        self.publish(&event);
                    }
                    Ok(Some(Sent { event, is_repeat: false }))
                }
                Ok(Appended::Already(entry)) => {
                    let event = event(entry);
                    let is_repeat = is_blocked || !self.publish_unpublished(&event).await;
                    Ok(Some(Sent { event, is_repeat }))
                }
                Ok(Appended::Unchanged { end }) => {
                    if may_be_stored && !is_blocked {
                        is_blocked = !self.publish_missing(conversation, end).await;
                    }
                    Ok(None)
                }
                Err(error) => {
                    self.note_failed_append(conversation.id, purpose, &error);
                    Err(error.into())
                }
            };
            if let Some(waiting) = waiting {
                waiting.answer(outcome);
            }
        }
    }

    /// Publishes a new entry.
    fn publish(&self, event: &Arc<EntryEvent>) {
        let desk_event = DeskEvent::Entry(event.clone());
        self.deliver(event, |recipient| self.0.presence.send(recipient, &desk_event));
        self.note_published(event.entry.conversation, event.entry.seq);
    }

    /// Sends an entry to the other side first, then to its author, to whose own connection it is the confirmation. Returns what
    /// became of it for the author.
    pub(super) fn deliver(&self, event: &Arc<EntryEvent>, send: impl Fn(UserId) -> SendOutcome) -> SendOutcome {
        if event.is_message() {
            self.0.typing.stop_for_message(event);
        }
        let (entry, author) = (&event.entry, event.entry.author);
        let members = event.parties.conversation.members;
        let mut is_sent = false;
        for recipient in self.0.presence.recipients(members).into_iter().filter(|recipient| *recipient != author) {
            let is_across = members.side_of(recipient, true) != Some(entry.side);
            is_sent |= send(recipient) == SendOutcome::Sent && is_across;
        }
        let outcome = send(author);
        self.0.presence.send_to_guests(event);
        tracing::debug!(
            conversation.id = %entry.conversation, seq = entry.seq.get(), is_sent_to_other_side = is_sent, "Published an entry"
        );
        self.0.delivery.entry_published(event, is_sent);
        outcome
    }
}
