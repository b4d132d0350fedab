//! The receipts of a conversation, as its members are shown them.

use crate::desk::delivery::Delivery;
use crate::domain::{EntryEvent, MessageStatus, ReceiptCursor, Seq, Side, Summary};
use crate::store::StoreError;

/// The receipts and read marks of both sides of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConversationReceipts {
    cursors: [ReceiptCursor; 2],
    read: [Seq; 2],
}

impl ConversationReceipts {
    /// The status of a message; `None` if the entry is not a message, or was deleted.
    #[must_use]
    pub fn status_of(&self, event: &EntryEvent) -> Option<MessageStatus> {
        let across = event.entry.side.other().index();
        event.is_message().then(|| self.cursors[across].status_of(event.entry.seq, self.read[across]))
    }

    /// How far a side has received the other side's messages.
    pub(super) fn delivered_to(&self, side: Side) -> Seq {
        self.cursors[side.index()].delivered.max(self.read[side.index()])
    }
}

impl Delivery {
    /// The receipts of a conversation.
    pub(in crate::desk) async fn receipts_of(&self, summary: &Summary) -> Result<ConversationReceipts, StoreError> {
        let id = summary.conversation.id;
        let stored = self.0.store.receipts(id).await?;
        let cursors = [Side::Customer, Side::Desk].map(|side| {
            let in_memory = self.0.receipts.track((id, side)).map(|track| track.receipt).unwrap_or_default();
            stored[side.index()].max(in_memory)
        });
        Ok(ConversationReceipts { cursors, read: summary.sides.map(|side| side.read) })
    }
}
