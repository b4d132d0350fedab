//! Edits and deletions as stored with the messages, and lookups for what depends on an entry.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows;
use crate::domain::{Conversation, Entry, EntryKind, LastMessage, MessageBody, Recount, Seq, Side, Summary, Target};
use crate::store::StoreError;

/// Messages that are not deleted as `e`, with their last edit as `r`.
macro_rules! messages_of {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM entries e LEFT JOIN entries r ON r.conversation = e.conversation AND r.seq = e.revision \
             WHERE e.conversation = ?1 AND e.kind = 'message' AND (e.revision IS NULL OR r.body IS NOT NULL) AND ",
            $rest
        )
    };
}

/// The current text of a message; `None` if it was deleted.
pub(super) fn text(
    connection: &Connection,
    conversation: &Conversation,
    target: &Target,
) -> Result<Option<String>, StoreError> {
    let mut select =
        connection.prepare_cached(messages_of!("coalesce(r.body, e.body)", "e.seq = ?2 AND e.message_id = ?3"))?;
    let text = select.query_row(params![conversation.number, target.seq.get(), target.id.bytes()], |row| row.get(0));
    Ok(text.optional()?)
}

/// Stores with a message which entry has edited or deleted it.
pub(super) fn mark(
    connection: &Connection,
    conversation: &Conversation,
    target: &Target,
    by: Seq,
) -> Result<(), StoreError> {
    let mut update =
        connection.prepare_cached("UPDATE entries SET revision = ?3 WHERE conversation = ?1 AND seq = ?2")?;
    update.execute(params![conversation.number, target.seq.get(), by.get()])?;
    Ok(())
}

/// The number of messages of the other side after `up_to`.
pub(super) fn unread_beyond(
    connection: &Connection,
    conversation: &Conversation,
    side: Side,
    up_to: Seq,
) -> Result<u64, StoreError> {
    let mut count = connection.prepare_cached(messages_of!("count(*)", "e.seq > ?2 AND e.side = ?3"))?;
    let of = params![conversation.number, up_to.get(), side.other().index()];
    Ok(count.query_row(of, |row| row.get(0))?)
}

/// What has to be read from the log to apply its newest entry to `summary`.
pub(super) fn recount(connection: &Connection, summary: &Summary, entry: &Entry) -> Result<Recount, StoreError> {
    let conversation = &summary.conversation;
    let mut recount = Recount::default();
    match &entry.kind {
        EntryKind::Read { up_to } if !conversation.members.is_with_oneself() => {
            recount.unread = unread_beyond(connection, conversation, entry.side, *up_to)?;
        }
        EntryKind::Deleted { target } if summary.is_last_message(target.seq) => {
            recount.last_message = last_before(connection, conversation, target.seq)?;
        }
        EntryKind::Message(_)
        | EntryKind::Read { .. }
        | EntryKind::StatusChanged { .. }
        | EntryKind::Edited { .. }
        | EntryKind::Deleted { .. } => {}
    }
    Ok(recount)
}

fn last_before(
    connection: &Connection,
    conversation: &Conversation,
    before: Seq,
) -> Result<Option<LastMessage>, StoreError> {
    let mut select = connection.prepare_cached(messages_of!(
        "e.seq, e.side, coalesce(r.body, e.body), e.at",
        "e.seq < ?2 ORDER BY e.seq DESC LIMIT 1"
    ))?;
    let last = select.query_row(params![conversation.number, before.get()], |row| {
        Ok(LastMessage {
            seq: Seq::new(row.get(0)?),
            side: rows::side(row, 1)?,
            body: MessageBody::stored(row.get(2)?),
            at: rows::time(row, 3)?,
        })
    });
    Ok(last.optional()?)
}
