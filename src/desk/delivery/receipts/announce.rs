//! Sends `message-status` to authors whose clients have asked for it, at most once per conversation and period.

use std::sync::Arc;

use super::Key;
use super::track::Track;
use crate::desk::delivery::Delivery;
use crate::domain::{ConversationId, DeskEvent, Members, Message, MessageStatus, Seq, Side, StatusChange, UserId};
use crate::store::StoreError;

impl Delivery {
    /// From now on, changes are sent to those connections that want them.
    pub fn ask_for_receipts(&self) {
        self.0.receipts.ask();
    }

    /// Announces how far a receipt and a read mark have moved since the last time.
    pub(super) async fn announce_receipt(&self, key: Key, track: &Track) -> Result<(), StoreError> {
        let ((receipt, read), (announced, announced_read)) = ((track.receipt, track.read), track.announced);
        // A status that a later one includes is not sent.
        let steps = [
            (MessageStatus::Sent, receipt.sent > announced.sent.max(receipt.delivered).max(read), receipt.sent),
            (MessageStatus::Delivered, receipt.delivered > announced.delivered.max(read), receipt.delivered),
            (MessageStatus::Read, read > announced_read, read),
        ];
        let (id, side) = key;
        let recipients = match self.0.directory.conversation(id).await? {
            Some(conversation) => self.who_wants_receipts(conversation.members, side.other()),
            None => Vec::new(),
        };
        let steps = steps.into_iter().filter(|(_, is_new, _)| *is_new && !recipients.is_empty());
        let mut events = Vec::new();
        for (status, _, up_to) in steps {
            let newest = match track.newest {
                Some((seq, message)) if seq <= up_to => Some(message),
                _ => self.newest_of_side(id, side.other(), up_to).await?.map(|message| message.id),
            };
            if let Some(message) = newest {
                events.push(DeskEvent::Status(Arc::new(StatusChange { conversation: id, status, up_to, message })));
            }
        }
        // Nothing after this can fail, else the change would never be sent.
        self.0.receipts.note_announced(key, track.announced, (receipt, read));
        if !events.is_empty() {
            tracing::debug!(
                conversation.id = %id, ?side, sent = receipt.sent.get(), delivered = receipt.delivered.get(),
                read = read.get(), recipients = recipients.len(), "Announced a receipt"
            );
        }
        for recipient in recipients {
            for event in &events {
                self.0.presence.send(recipient, event);
            }
        }
        Ok(())
    }

    /// The newest message of a side up to an entry: the one that a read mark there is about.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn newest_of_side(
        &self,
        id: ConversationId,
        side: Side,
        up_to: Seq,
    ) -> Result<Option<Message>, StoreError> {
        const SEARCHED: usize = 100;
        let entries = self.0.store.messages_before(id, Some(up_to.next()), SEARCHED).await?;
        let newest = entries.into_iter().rev().find(|entry| entry.side == side);
        Ok(newest.and_then(|entry| entry.message().cloned()))
    }

    /// The people of one side who are connected and want receipts.
    fn who_wants_receipts(&self, members: Members, side: Side) -> Vec<UserId> {
        let wants_them = |recipient: &UserId| {
            let connections = self.0.presence.connections(*recipient);
            members.side_of(*recipient, true) == Some(side) && connections.iter().any(|it| it.wants_receipts())
        };
        self.0.presence.recipients(members).into_iter().filter(wants_them).collect()
    }
}
