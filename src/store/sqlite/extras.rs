//! Extras of messages: replies and attachments.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::{Attachment, MessageExtras, MessageId, UserId};
use crate::store::StoreError;

pub(super) fn save(
    connection: &Connection,
    message: MessageId,
    author: UserId,
    extras: &MessageExtras,
) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO message_extras (message, reply_to, file, name, media_type, size, author)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let attachment = extras.attachment.as_ref();
    insert.execute(params![
        message.bytes(),
        extras.reply_to,
        attachment.map(|attachment| attachment.file.as_str()),
        attachment.map(|attachment| attachment.name.as_str()),
        attachment.map(|attachment| attachment.media_type.as_str()),
        attachment.map(|attachment| attachment.size),
        author.bytes(),
    ])?;
    Ok(())
}

pub(super) fn stored_by(connection: &Connection, author: UserId) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(size), 0) FROM message_extras WHERE author = ?1 AND size IS NOT NULL";
    Ok(connection.prepare_cached(sql)?.query_row([author.bytes()], |row| row.get(0))?)
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
