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
        for (publication, result) in batch {
            if let Ok(Appended::New(entry)) = &result {
                self.publish_missing_before(entry, publication.parties.conversation).await;
            }
            let Publication { parties, author, origin, about, waiting } = publication;
            let event = |entry: Entry| {
                let message = entry.message().or(about.as_deref());
                let attachment_path = message.and_then(|message| self.0.events.attachment_path(message));
                Arc::new(EntryEvent { parties, entry, author, origin, attachment_path, about: None })
            };
            let outcome = match result {
                Ok(Appended::New(entry)) => {
                    let event = event(entry);
                    if event.is_message() {
                        self.0.typing.stop_for_message(&event);
                    }
                    self.publish(&event);
                    Ok(Some(Sent { event, is_repeat: false }))
                }
                Ok(Appended::Already(entry)) => Ok(Some(Sent { event: event(entry), is_repeat: true })),
                Ok(Appended::Unchanged) => Ok(None),
                Err(error) => Err(error.into()),
            };
            if let Some(waiting) = waiting {
                waiting.answer(outcome);
            }
        }
    }

    /// Publishes an entry to the other side first, then to the author, to whose own connection it is the confirmation.
    fn publish(&self, event: &Arc<EntryEvent>) {
        let author = event.entry.author;
        let mut recipients = self.0.presence.recipients(event.parties.conversation.members);
        recipients.retain(|recipient| *recipient != author);
        recipients.push(author);
        self.publish_to(event, recipients);
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
