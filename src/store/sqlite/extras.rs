//! What goes with messages beside their text.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::{Attachment, MessageExtras, MessageId};
use crate::store::StoreError;

pub(super) fn save(connection: &Connection, message: MessageId, extras: &MessageExtras) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO message_extras (message, reply_to, file, name, media_type, size)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let attachment = extras.attachment.as_ref();
    insert.execute(params![
        message.bytes(),
        extras.reply_to,
        attachment.map(|attachment| attachment.file.as_str()),
        attachment.map(|attachment| attachment.name.as_str()),
        attachment.map(|attachment| attachment.media_type.as_str()),
        attachment.map(|attachment| attachment.size),
    ])?;
    Ok(())
}

pub(super) fn of(
    connection: &Connection,
    messages: &[MessageId],
) -> Result<Vec<(MessageId, MessageExtras)>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT reply_to, file, name, media_type, size FROM message_extras WHERE message = ?1")?;
    let mut found = Vec::new();
    for message in messages {
        if let Some(extras) = select.query_row([message.bytes()], extras).optional()? {
            found.push((*message, extras));
        }
    }
    Ok(found)
}

fn extras(row: &Row<'_>) -> rusqlite::Result<MessageExtras> {
    let attachment = match row.get::<_, Option<String>>(1)? {
        None => None,
        Some(file) => Some(Attachment { file, name: row.get(2)?, media_type: row.get(3)?, size: row.get(4)? }),
    };
    Ok(MessageExtras { reply_to: row.get(0)?, attachment })
}
