//! Appends entries inside the writer's transaction.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::{extras, revisions, rows};
use crate::domain::{
    ClientMessageId, ConversationId, Draft, DraftKind, Entry, EntryKind, Message, ReadEffect, Seq, Summary, UserId,
};
use crate::store::{AppendError, Appended, StoreError};

/// How many summaries are cached. Beyond this number, the cache is cleared.
const CACHED: usize = 50_000;

/// Why the rest of a batch cannot be stored.
pub(super) const NO_TRANSACTION: &str = "the transaction was ended by an earlier failure";

/// Appends drafts. Caches the summaries of recent conversations, since only this thread changes them.
#[derive(Default)]
pub(super) struct Appender {
    summaries: HashMap<ConversationId, Summary>,
    dirty: HashSet<ConversationId>,
    data_version: i64,
    /// A statement failed, so the transaction must not be committed.
    failure: Option<String>,
}

impl Appender {
    /// Must be called at the start of each transaction.
    pub(super) fn begin(&mut self, connection: &Connection) -> Result<(), StoreError> {
        // Changes when another process has written to the file, for example a repair of the projections.
        let version = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if version != self.data_version || self.summaries.len() > CACHED {
            self.forget();
            self.data_version = version;
        }
        Ok(())
    }

    /// Must be called at the end of each transaction: writes the state of each changed conversation, once.
    pub(super) fn finish(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if let Some(why) = self.failure.take() {
            return Err(StoreError::Unavailable(why));
        }
        if connection.is_autocommit() {
            return Err(StoreError::Unavailable(NO_TRANSACTION.into()));
        }
        for id in self.dirty.drain() {
            if let Some(summary) = self.summaries.get(&id) {
                rows::update_summary(connection, summary)?;
            }
        }
        Ok(())
    }

    /// Must be called when a transaction failed: clears the cache, which may differ from what is stored.
    pub(super) fn forget(&mut self) {
        self.summaries.clear();
        self.dirty.clear();
        self.failure = None;
    }

    pub(super) fn append(&mut self, connection: &Connection, draft: Draft) -> Result<Appended, AppendError> {
        // SQLite may end a transaction by itself when a statement fails. Later statements would then be committed one
        // by one, with seqs that follow entries that were rolled back.
        let gone = self.failure.clone().or_else(|| connection.is_autocommit().then(|| NO_TRANSACTION.to_owned()));
        let result = match gone {
            Some(why) => Err(StoreError::Unavailable(why).into()),
            None => self.try_append(connection, draft),
        };
        if let Err(AppendError::Store(error)) = &result {
            self.failure = Some(error.to_string());
        }
        result
    }

    fn try_append(&mut self, connection: &Connection, draft: Draft) -> Result<Appended, AppendError> {
        let summary = match self.summaries.entry(draft.conversation) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                let read = rows::summary(connection, draft.conversation)?;
                unknown.insert(read.ok_or(AppendError::NoConversation(draft.conversation))?)
            }
        };
        if let DraftKind::Message { client_id: Some(client_id), .. } = &draft.kind
            && let Some(first) = first_with(connection, summary.conversation.number, draft.author, client_id)?
        {
            return Ok(Appended::Already(first));
        }
        let up_to = match &draft.kind {
            DraftKind::ChangeStatus { status } if *status == summary.status => {
                return Ok(Appended::Unchanged { end: summary.last_seq });
            }
            DraftKind::Message { .. } | DraftKind::ChangeStatus { .. } => None,
            DraftKind::Read { up_to } => match summary.read_effect(draft.side, *up_to) {
                ReadEffect::Nothing => return Ok(Appended::Unchanged { end: summary.last_seq }),
                ReadEffect::Everything => Some(summary.last_seq),
                ReadEffect::Part(up_to) => {
                    let left = revisions::unread_beyond(connection, &summary.conversation, draft.side, up_to)?;
                    if left == summary.side(draft.side).unread {
                        return Ok(Appended::Unchanged { end: summary.last_seq });
                    }
                    Some(up_to)
                }
            },
            DraftKind::Edit { target, .. } | DraftKind::Delete { target } => {
                let text = revisions::text(connection, &summary.conversation, target)?;
                let is_news = text.is_some_and(|text| match &draft.kind {
                    DraftKind::Edit { body, .. } => body.as_str() != text,
                    _ => true,
                });
                if !is_news {
                    return Ok(Appended::Unchanged { end: summary.last_seq });
                }
                None
            }
        };
        let entry = insert(connection, summary, draft, up_to)?;
        if let Some(target) = entry.target() {
            revisions::mark(connection, &summary.conversation, target, entry.seq)?;
        }
        let recount = revisions::recount(connection, summary, &entry)?;
        summary.apply(&entry, recount);
        self.dirty.insert(entry.conversation);
        Ok(Appended::New(entry))
    }
}

fn first_with(
    connection: &Connection,
    conversation: u64,
    author: UserId,
    client_id: &ClientMessageId,
) -> Result<Option<Entry>, StoreError> {
    let sql = rows::ENTRY_BY_CLIENT_ID;
    let mut select = connection.prepare_cached(sql)?;
    Ok(select.query_row(params![conversation, author.bytes(), client_id.as_str()], rows::entry).optional()?)
}

fn insert(connection: &Connection, summary: &Summary, draft: Draft, up_to: Option<Seq>) -> Result<Entry, StoreError> {
    let seq = summary.last_seq.next();
    let at = draft.at.following(summary.updated_at);
    let mut insert = connection.prepare_cached(
        "INSERT INTO entries (conversation, seq, kind, author, side, at, message_id, client_id, body, up_to, target)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let (message_id, client_id) = match &draft.kind {
        DraftKind::Message { id, client_id, .. } => (Some(id.bytes()), client_id.as_ref().map(ClientMessageId::as_str)),
        _ => (None, None),
    };
    let (word, body, target) = match &draft.kind {
        DraftKind::Message { body, .. } => ("message", Some(body.as_str()), None),
        DraftKind::Read { .. } => ("read", None, None),
        DraftKind::ChangeStatus { status } => ("status", Some(status.word()), None),
        DraftKind::Edit { target, body } => ("edit", Some(body.as_str()), Some(target.number)),
        DraftKind::Delete { target } => ("delete", None, Some(target.number)),
    };
    let number = insert.insert(params![
        summary.conversation.number,
        seq.get(),
        word,
        draft.author.bytes(),
        draft.side.index(),
        at.millis(),
        message_id,
        client_id,
        body,
        up_to.map(Seq::get),
        target,
    ])?;
    let kind = match draft.kind {
        DraftKind::Message { id, body, client_id, extras } => {
            let number = number.unsigned_abs();
            if let Some(extras) = &extras {
                extras::insert(connection, number, draft.author, extras)?;
            }
            EntryKind::Message(Message { id, number, original: body, client_id, extras, revision: None })
        }
        DraftKind::Read { up_to: asked } => EntryKind::Read { up_to: up_to.unwrap_or(asked) },
        DraftKind::ChangeStatus { status } => EntryKind::StatusChanged { status },
        DraftKind::Edit { target, body } => EntryKind::Edited { target, body },
        DraftKind::Delete { target } => EntryKind::Deleted { target },
    };
    Ok(Entry { conversation: draft.conversation, seq, author: draft.author, side: draft.side, at, kind })
}
