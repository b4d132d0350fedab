//! Extras of messages, in a separate table, so that messages without extras have short rows.

use rusqlite::{Connection, Row, params};

use crate::domain::{Attachment, MessageExtras, MessageId, UserId};
use crate::store::StoreError;

/// Stores the extras of the entry with this number, in the transaction that stores the entry.
pub(super) fn insert(
    connection: &Connection,
    entry: u64,
    author: UserId,
    extras: &MessageExtras,
) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO extras (entry, author, reply_to, file, name, media_type, size)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let attachment = extras.attachment.as_ref();
    insert.execute(params![
        entry,
        author.bytes(),
        extras.reply_to,
        attachment.map(|attachment| attachment.file.as_str()),
        attachment.map(|attachment| attachment.name.as_str()),
        attachment.map(|attachment| attachment.media_type.as_str()),
        attachment.map(|attachment| attachment.size),
    ])?;
    Ok(())
}

pub(super) fn replace(connection: &Connection, message: MessageId, extras: &MessageExtras) -> Result<(), StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT number, author FROM entries
         WHERE substr(message_id, 1, 4) = substr(?1, 1, 4) AND message_id = ?1",
    )?;
    let mut found = select.query([message.bytes()])?;
    match found.next()? {
        Some(entry) => insert(connection, entry.get(0)?, UserId::from_bytes(entry.get(1)?), extras),
        None => Ok(()),
    }
}

pub(super) fn stored_by(connection: &Connection, author: UserId) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(size), 0) FROM extras WHERE author = ?1 AND size IS NOT NULL";
    Ok(connection.prepare_cached(sql)?.query_row([author.bytes()], |row| row.get(0))?)
}

/// Reads `reply_to`, `file`, `name`, `media_type` and `size`, from the column `first` on.
pub(super) fn of(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Box<MessageExtras>>> {
    let attachment = match row.get::<_, Option<String>>(first + 1)? {
        None => None,
        Some(file) => Some(Attachment {
            file,
            name: row.get(first + 2)?,
            media_type: row.get(first + 3)?,
            size: row.get(first + 4)?,
        }),
    };
    Ok(MessageExtras { reply_to: row.get(first)?, attachment }.boxed())
}
