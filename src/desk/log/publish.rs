//! Publishes stored entries to the people whom they concern.

use std::sync::Arc;

use super::Log;
use super::store::BreakOnPanic;
use super::submission::{Publication, Sent, Stored};
use crate::domain::{DeskEvent, Entry, EntryEvent, UserId};
use crate::presence::SendOutcome;
use crate::store::Appended;

impl Log {
    /// Publishes a batch in its order, and reports the outcome of each entry to its caller.
    pub(super) async fn publish_batch(self, batch: Vec<Stored>) {
        let _guard = BreakOnPanic(&self);
        for (Publication { parties, author, origin, about, waiting }, result) in batch {
            let conversation = parties.conversation;
            let is_change = about.is_some();
            let event = |entry: Entry| {
                let message = entry.message().or(about.as_deref());
                let attachment_path = message.and_then(|message| self.0.events.attachment_path(message));
                Arc::new(EntryEvent { parties, entry, author, origin, attachment_path, about: None })
            };
            let outcome = match result {
                Ok(Appended::New(entry)) => {
                    let event = event(entry);
                    self.publish_new(&event).await;
                    Ok(Some(Sent { event, is_repeat: false }))
                }
                Ok(Appended::Already(entry)) => {
                    let event = event(entry);
                    let is_repeat = !self.publish_unpublished(&event).await;
                    Ok(Some(Sent { event, is_repeat }))
                }
                Ok(Appended::Unchanged { end }) => {
                    self.publish_unchanged(conversation, end, is_change).await;
                    Ok(None)
                }
                Err(error) => {
                    self.note_failed_append(conversation.id, &error);
                    Err(error.into())
                }
            };
            if let Some(waiting) = waiting {
                waiting.answer(outcome);
            }
        }
    }

    /// Publishes an entry to the other side first, then to the author, to whose own connection it is the confirmation.
    async fn publish_new(&self, event: &Arc<EntryEvent>) {
        if !self.publish_missing_before(event.parties.conversation, event.entry.seq).await {
            return;
        }
        if event.is_message() {
            self.0.typing.stop_for_message(event);
        }
        let author = event.entry.author;
        let mut recipients = self.0.presence.recipients(event.parties.conversation.members);
        recipients.retain(|recipient| *recipient != author);
        recipients.push(author);
        self.publish_to(event, recipients);
        self.note_published(event.entry.conversation, event.entry.seq);
    }

    /// Publishes an entry to these people, in this order.
    pub(super) fn publish_to(&self, event: &Arc<EntryEvent>, recipients: Vec<UserId>) {
        let desk_event = DeskEvent::Entry(event.clone());
        let members = event.parties.conversation.members;
        let mut is_sent = false;
        for recipient in recipients {
            let is_across =
                recipient != event.entry.author && members.side_of(recipient, true) != Some(event.entry.side);
            is_sent |= self.0.presence.send(recipient, &desk_event) == SendOutcome::Sent && is_across;
        }
        self.0.presence.send_to_guests(event);
        let entry = &event.entry;
        tracing::debug!(
            conversation.id = %entry.conversation, seq = entry.seq.get(), is_sent_to_other_side = is_sent, "Published an entry"
        );
        self.0.delivery.entry_published(event, is_sent);
    }
}
