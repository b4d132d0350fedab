//! Converts rows to values and back.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{codes, extras, sessions};
use crate::domain::{
    ClientMessageId, Conversation, ConversationId, Email, Entry, EntryKind, LastMessage, Members, Message, MessageBody,
    MessageId, NameParts, PendingCodes, Profile, Revision, Seq, Sessions, Side, SideState, Summary, Target, Timestamp,
    User, UserId,
};
use crate::store::StoreError;

/// Columns of [`user`], in its order.
macro_rules! user_columns {
    () => {
        "number, id, name, email, password_hash, role, status, codes, created_at, updated_at, sessions, \
         username, first_name, last_name, contact_email, phone, birth_date, session"
    };
}
/// Columns of [`summary_of`], in its order.
macro_rules! summary_columns {
    () => {
        "c.number, c.id, c.uuid, c.customer, c.peer, c.created_at, c.status, c.last_seq, c.updated_at, \
         c.last_message_seq, c.last_message_side, c.last_message_body, c.last_message_at, \
         c.customer_read, c.customer_unread, c.desk_read, c.desk_unread"
    };
}
/// Columns of [`entry`], in its order, and the tables they come from: the entry, its conversation, the edit or deletion and the
/// extras of a message, and the message that an edit or a deletion is about.
macro_rules! select_entry {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, e.seq, e.author, e.side, e.at, e.kind, e.message_id, e.number, e.body, e.client_id, e.up_to, \
             r.seq, r.at, r.body, t.message_id, t.number, t.seq, t.side, \
             x.reply_to, x.file, x.name, x.media_type, x.size \
             FROM entries e JOIN conversations c ON c.number = e.conversation \
             LEFT JOIN entries r ON r.conversation = e.conversation AND r.seq = e.revision \
             LEFT JOIN entries t ON t.number = e.target \
             LEFT JOIN extras x ON x.entry = e.number WHERE ",
            $rest
        )
    };
}
pub(super) use {select_entry, summary_columns, user_columns};

pub(super) const ENTRY_BY_CLIENT_ID: &str = select_entry!("e.conversation = ?1 AND e.author = ?2 AND e.client_id = ?3");

pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    let codes: Option<String> = row.get(7)?;
    let pending_codes = codes.map_or(Some(PendingCodes::new()), |codes| codes::read(&codes));
    let sessions: Option<String> = row.get(10)?;
    let sessions = sessions.map_or_else(|| Some(Sessions::default()), |sessions| sessions::read(&sessions));
    Ok(User {
        number: row.get(0)?,
        id: UserId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        email: row.get::<_, Option<String>>(3)?.map(Email::stored),
        password_hash: row.get(4)?,
        role: word(row, 5)?,
        status: word(row, 6)?,
        pending_codes: pending_codes.ok_or_else(|| unreadable(7))?,
        created_at: time(row, 8)?,
        updated_at: time(row, 9)?,
        sessions: sessions.ok_or_else(|| unreadable(10))?,
        profile: profile(row)?,
    })
}

fn profile(row: &Row<'_>) -> rusqlite::Result<Profile> {
    let parts: (Option<String>, Option<String>) = (row.get(12)?, row.get(13)?);
    let birth_date: Option<String> = row.get(16)?;
    Ok(Profile {
        username: row.get(11)?,
        name_parts: parts.0.zip(parts.1).map(|(first, last)| NameParts { first, last }),
        contact_email: row.get(14)?,
        phone: row.get(15)?,
        birth_date: birth_date.map(|date| date.parse().map_err(|_| unreadable(16))).transpose()?,
        session: row.get(17)?,
    })
}

/// The fixed facts, from the first six summary columns.
pub(super) fn conversation(row: &Row<'_>) -> rusqlite::Result<Conversation> {
    let customer = UserId::from_bytes(row.get(3)?);
    let members = match row.get::<_, Option<[u8; 12]>>(4)? {
        None => Members::Support { customer },
        Some(peer) => Members::direct(customer, UserId::from_bytes(peer)),
    };
    Ok(Conversation {
        number: row.get(0)?,
        id: ConversationId::from_bytes(row.get(1)?),
        uuid: u128::from_be_bytes(row.get(2)?),
        members,
        created_at: time(row, 5)?,
    })
}

pub(super) fn summary_of(row: &Row<'_>) -> rusqlite::Result<Summary> {
    let last_message = match row.get::<_, Option<u64>>(9)? {
        None => None,
        Some(seq) => Some(LastMessage {
            seq: Seq::new(seq),
            side: side(row, 10)?,
            body: MessageBody::stored(row.get(11)?),
            at: time(row, 12)?,
        }),
    };
    Ok(Summary {
        conversation: conversation(row)?,
        status: word(row, 6)?,
        last_seq: Seq::new(row.get(7)?),
        last_message,
        sides: [
            SideState { read: Seq::new(row.get(13)?), unread: row.get(14)? },
            SideState { read: Seq::new(row.get(15)?), unread: row.get(16)? },
        ],
        updated_at: time(row, 8)?,
    })
}

pub(super) fn summary(connection: &Connection, id: ConversationId) -> Result<Option<Summary>, StoreError> {
    let sql = concat!("SELECT ", summary_columns!(), " FROM conversations c WHERE c.id = ?1");
    Ok(connection.prepare_cached(sql)?.query_row([id.bytes()], summary_of).optional()?)
}

pub(super) fn update_summary(connection: &Connection, summary: &Summary) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached(
        "UPDATE conversations SET status = ?2, last_seq = ?3, updated_at = ?4,
             last_message_seq = ?5, last_message_side = ?6, last_message_body = ?7, last_message_at = ?8,
             customer_read = ?9, customer_unread = ?10, desk_read = ?11, desk_unread = ?12
         WHERE number = ?1",
    )?;
    let last = summary.last_message.as_ref();
    let [customer, desk] = &summary.sides;
    update.execute(params![
        summary.conversation.number,
        summary.status.word(),
        summary.last_seq.get(),
        summary.updated_at.millis(),
        last.map(|last| last.seq.get()),
        last.map(|last| last.side.index()),
        last.map(|last| last.body.as_str()),
        last.map(|last| last.at.millis()),
        customer.read.get(),
        customer.unread,
        desk.read.get(),
        desk.unread,
    ])?;
    Ok(())
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let kind = match row.get_ref(5)?.as_str()? {
        "message" => EntryKind::Message(Message {
            id: MessageId::from_bytes(row.get(6)?),
            number: row.get(7)?,
            original: MessageBody::stored(row.get(8)?),
            client_id: match row.get::<_, Option<String>>(9)? {
                None => None,
                Some(text) => Some(text.parse::<ClientMessageId>().map_err(|_| unreadable(9))?),
            },
            extras: extras::of(row, 18)?,
            revision: revision(row)?,
        }),
        "read" => EntryKind::Read { up_to: Seq::new(row.get(10)?) },
        "status" => EntryKind::StatusChanged { status: word(row, 8)? },
        "edit" => EntryKind::Edited { target: target(row)?, body: MessageBody::stored(row.get(8)?) },
        "delete" => EntryKind::Deleted { target: target(row)? },
        _ => return Err(unreadable(5)),
    };
    Ok(Entry {
        conversation: ConversationId::from_bytes(row.get(0)?),
        seq: Seq::new(row.get(1)?),
        author: UserId::from_bytes(row.get(2)?),
        side: side(row, 3)?,
        at: time(row, 4)?,
        kind,
    })
}

fn revision(row: &Row<'_>) -> rusqlite::Result<Option<Revision>> {
    let Some(seq) = row.get(11)? else { return Ok(None) };
    let text = row.get::<_, Option<String>>(13)?.map(MessageBody::stored);
    Ok(Some(Revision { seq: Seq::new(seq), at: time(row, 12)?, text }))
}

fn target(row: &Row<'_>) -> rusqlite::Result<Target> {
    Ok(Target {
        id: MessageId::from_bytes(row.get(14)?),
        number: row.get(15)?,
        seq: Seq::new(row.get(16)?),
        side: side(row, 17)?,
    })
}

pub(super) fn side(row: &Row<'_>, column: usize) -> rusqlite::Result<Side> {
    match row.get(column)? {
        0 => Ok(Side::Customer),
        1 => Ok(Side::Desk),
        _ => Err(unreadable(column)),
    }
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

fn word<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get_ref(column)?.as_str()?.parse().map_err(|_| unreadable(column))
}

fn unreadable(column: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(FromSqlError::InvalidType))
}
