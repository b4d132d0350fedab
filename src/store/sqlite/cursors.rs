//! Cursors: how far each person and each side of a conversation has received it.

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::{ConversationId, ReceiptCursor, Seq, Side};
use crate::store::{DeliveredCursor, MovedCursors, Receipt, StoreError};

pub(super) fn advance(connection: &Connection, moved: &MovedCursors) -> Result<(), StoreError> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO delivered (user, conversation, up_to)
         SELECT ?1, number, ?3 FROM conversations WHERE id = ?2
         ON CONFLICT (user, conversation) DO UPDATE SET up_to = max(up_to, excluded.up_to)",
    )?;
    for DeliveredCursor { conversation, user, up_to } in &moved.delivered {
        upsert.execute(params![user.bytes(), conversation.bytes(), up_to.get()])?;
    }
    for Receipt { conversation, side, cursor } in &moved.receipts {
        let mut update = connection.prepare_cached(match side {
            Side::Customer => {
                "UPDATE conversations SET customer_sent = max(customer_sent, ?2),
                     customer_delivered = max(customer_delivered, ?3) WHERE id = ?1"
            }
            Side::Desk => {
                "UPDATE conversations SET desk_sent = max(desk_sent, ?2),
                     desk_delivered = max(desk_delivered, ?3) WHERE id = ?1"
            }
        })?;
        update.execute(params![conversation.bytes(), cursor.sent.get(), cursor.delivered.get()])?;
    }
    Ok(())
}

pub(super) fn receipts(connection: &Connection, id: ConversationId) -> Result<[ReceiptCursor; 2], StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT customer_sent, customer_delivered, desk_sent, desk_delivered FROM conversations WHERE id = ?1",
    )?;
    let cursors = select.query_row([id.bytes()], |row| {
        let cursor = |sent, delivered| {
            Ok::<_, rusqlite::Error>(ReceiptCursor {
                sent: Seq::new(row.get(sent)?),
                delivered: Seq::new(row.get(delivered)?),
            })
        };
        Ok::<_, rusqlite::Error>([cursor(0, 1)?, cursor(2, 3)?])
    });
    Ok(cursors.optional()?.unwrap_or_default())
}
