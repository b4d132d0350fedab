//! Implements the port for conversations.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{self, select_entry, summary_columns};
use super::{SqliteStore, cursors, extras, since};
use crate::domain::{
    Conversation, ConversationId, Draft, Entry, Members, MessageId, ReceiptCursor, Seq, Status, Summary, Timestamp,
    UserId,
};
use crate::store::{
    AppendError, Appended, ConversationStore, ListFor, MAX_PAGE, MessagePage, Missed, MovedCursors, Page, StoreError,
    SummaryPage,
};

macro_rules! select_summary {
    ($rest:literal) => {
        concat!("SELECT ", summary_columns!(), " FROM conversations c WHERE ", $rest)
    };
}

#[async_trait]
impl ConversationStore for SqliteStore {
    async fn open(&self, members: Members, at: Timestamp) -> Result<Conversation, StoreError> {
        if let Some(found) = self.find(members).await? {
            return Ok(found);
        }
        let write = move |connection: &Connection| match find(connection, members)? {
            Some(found) => Ok(found),
            None => insert(connection, members, at),
        };
        self.writer.change(write).await
    }

    async fn find(&self, members: Members) -> Result<Option<Conversation>, StoreError> {
        self.readers.read(move |connection| find(connection, members)).await
    }

    async fn summary(&self, id: ConversationId) -> Result<Option<Summary>, StoreError> {
        self.readers.read(move |connection| rows::summary(connection, id)).await
    }

    async fn summary_by_uuid(&self, uuid: u128) -> Result<Option<Summary>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(select_summary!("c.uuid = ?1"))?;
            Ok(select.query_row([uuid.to_be_bytes()], rows::summary_of).optional()?)
        };
        self.readers.read(read).await
    }

    async fn summary_by_number(&self, number: u64) -> Result<Option<Summary>, StoreError> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(select_summary!("c.number = ?1"))?;
            Ok(select.query_row([number], rows::summary_of).optional()?)
        };
        self.readers.read(read).await
    }

    async fn support(&self, skip: u64, limit: usize) -> Result<SummaryPage, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let read = move |connection: &Connection| {
            let mut count = connection
                .prepare_cached("SELECT count(*) FROM conversations WHERE peer IS NULL AND status <> 'removed'")?;
            let total = count.query_row([], |row| row.get(0))?;
            let mut select = connection.prepare_cached(select_summary!(
                "c.peer IS NULL AND c.status <> 'removed' ORDER BY c.updated_at DESC LIMIT ?1 OFFSET ?2"
            ))?;
            let skip = i64::try_from(skip).unwrap_or(i64::MAX);
            let summaries = select.query_map(params![limit, skip], rows::summary_of)?;
            Ok(SummaryPage { summaries: summaries.collect::<Result<_, _>>()?, total })
        };
        self.readers.read(read).await
    }

    async fn reassign(&self, id: ConversationId, customer: UserId) -> Result<bool, StoreError> {
        let write = move |connection: &Connection| {
            let sql = "UPDATE OR IGNORE conversations SET customer = ?2 WHERE id = ?1 AND peer IS NULL";
            Ok::<bool, StoreError>(connection.prepare_cached(sql)?.execute(params![id.bytes(), customer.bytes()])? > 0)
        };
        self.writer.change(write).await
    }

    async fn list(&self, list: ListFor, limit: usize) -> Result<Vec<Summary>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let read = move |connection: &Connection| {
            let user = list.user();
            let mut summaries = direct_of(connection, user)?;
            summaries.extend(match list {
                ListFor::Agent(_) => newest_support(connection, limit)?,
                ListFor::Customer(_) => support_of(connection, user)?,
            });
            summaries.retain(|summary| summary.last_message.is_some());
            summaries.sort_by_key(|summary| std::cmp::Reverse(summary.last_message.as_ref().map(|last| last.at)));
            summaries.truncate(limit);
            Ok(summaries)
        };
        self.readers.read(read).await
    }

    async fn unread(&self, list: ListFor) -> Result<u64, StoreError> {
        let read = move |connection: &Connection| {
            let user = list.user();
            let mut unread: u64 = direct_of(connection, user)?.iter().map(|summary| unread_of(summary, user)).sum();
            unread += match list {
                ListFor::Agent(_) => {
                    let sql = "SELECT coalesce(sum(desk_unread), 0) FROM conversations
                               WHERE peer IS NULL AND desk_unread > 0 AND status <> 'removed'";
                    connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, u64>(0))?
                }
                ListFor::Customer(_) => {
                    support_of(connection, user)?.iter().map(|summary| unread_of(summary, user)).sum()
                }
            };
            Ok(unread)
        };
        self.readers.read(read).await
    }

    async fn append(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>> {
        self.writer.append(drafts).await
    }

    async fn entries_after(&self, id: ConversationId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select =
                connection.prepare_cached(select_entry!("c.id = ?1 AND e.seq > ?2 ORDER BY e.seq LIMIT ?3"))?;
            let mut page = Page::default();
            for entry in select.query_map(params![id.bytes(), after.get(), limit.min(MAX_PAGE)], rows::entry)? {
                if page.ends_with(entry?) {
                    break;
                }
            }
            Ok(page.entries)
        };
        self.readers.read(read).await
    }

    async fn messages_before(
        &self,
        id: ConversationId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(select_entry!(
                "c.id = ?1 AND e.seq < ?2 AND e.kind = 'message' AND (e.revision IS NULL OR r.body IS NOT NULL) \
                 ORDER BY e.seq DESC LIMIT ?3"
            ))?;
            let before = before.map_or(i64::MAX, |before| i64::try_from(before.get()).unwrap_or(i64::MAX));
            let mut page = Page::default();
            for entry in select.query_map(params![id.bytes(), before, limit.min(MAX_PAGE)], rows::entry)? {
                if page.ends_with(entry?) {
                    break;
                }
            }
            page.entries.reverse();
            Ok(page.entries)
        };
        self.readers.read(read).await
    }

    async fn messages_from(&self, id: ConversationId, skip: u64, limit: usize) -> Result<MessagePage, StoreError> {
        let read = move |connection: &Connection| {
            let mut count = connection.prepare_cached(
                "SELECT count(*) FROM entries e JOIN conversations c ON c.number = e.conversation
                 LEFT JOIN entries r ON r.conversation = e.conversation AND r.seq = e.revision
                 WHERE c.id = ?1 AND e.kind = 'message' AND (e.revision IS NULL OR r.body IS NOT NULL)",
            )?;
            let total = count.query_row([id.bytes()], |row| row.get(0))?;
            let mut select = connection.prepare_cached(select_entry!(
                "c.id = ?1 AND e.kind = 'message' AND (e.revision IS NULL OR r.body IS NOT NULL) \
                 ORDER BY e.seq LIMIT ?2 OFFSET ?3"
            ))?;
            let skip = i64::try_from(skip).unwrap_or(i64::MAX);
            let messages = select.query_map(params![id.bytes(), limit.min(MAX_PAGE), skip], rows::entry)?;
            Ok(MessagePage { messages: messages.collect::<Result<_, _>>()?, total })
        };
        self.readers.read(read).await
    }

    async fn entries_at(&self, id: ConversationId, seqs: &[Seq]) -> Result<Vec<Entry>, StoreError> {
        let seqs: BTreeSet<Seq> = seqs.iter().copied().take(MAX_PAGE).collect();
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(select_entry!("c.id = ?1 AND e.seq = ?2"))?;
            let mut found = Vec::with_capacity(seqs.len());
            for seq in seqs {
                found.extend(select.query_row(params![id.bytes(), seq.get()], rows::entry).optional()?);
            }
            Ok(found)
        };
        self.readers.read(read).await
    }

    async fn message(&self, id: MessageId) -> Result<Option<Entry>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection
                .prepare_cached(select_entry!("substr(e.message_id, 1, 4) = substr(?1, 1, 4) AND e.message_id = ?1"))?;
            Ok(select.query_row([id.bytes()], rows::entry).optional()?)
        };
        self.readers.read(read).await
    }

    async fn messages_by_number(&self, numbers: &[u64]) -> Result<Vec<Entry>, StoreError> {
        let numbers = numbers.iter().take(MAX_PAGE).filter_map(|number| i64::try_from(*number).ok());
        let numbers: BTreeSet<i64> = numbers.collect();
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(select_entry!("e.number = ?1 AND e.kind = 'message'"))?;
            let mut found = Vec::with_capacity(numbers.len());
            for number in numbers {
                found.extend(select.query_row([number], rows::entry).optional()?);
            }
            Ok(found)
        };
        self.readers.read(read).await
    }

    async fn stored_by(&self, author: UserId) -> Result<u64, StoreError> {
        self.readers.read(move |connection| extras::stored_by(connection, author)).await
    }

    async fn advance_cursors(&self, moved: MovedCursors) -> Result<(), StoreError> {
        self.writer.change(move |connection| cursors::advance(connection, &moved)).await
    }

    async fn delivered(&self, id: ConversationId, user: UserId) -> Result<Option<Seq>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT d.up_to FROM delivered d JOIN conversations c ON c.number = d.conversation
                 WHERE d.user = ?1 AND c.id = ?2",
            )?;
            let up_to = select.query_row(params![user.bytes(), id.bytes()], |row| row.get(0)).optional()?;
            Ok(up_to.map(Seq::new))
        };
        self.readers.read(read).await
    }

    async fn missed(&self, list: ListFor, limit: usize) -> Result<Vec<Missed>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let read = move |connection: &Connection| {
            let user = list.user();
            let mut candidates = direct_of(connection, user)?;
            candidates.extend(match list {
                ListFor::Agent(_) => newest_support(connection, limit)?,
                ListFor::Customer(_) => support_of(connection, user)?,
            });
            let mut missed = Vec::new();
            for summary in candidates {
                missed.extend(missed_in(connection, &summary, list)?);
            }
            missed.sort_by_key(|(at, _)| *at);
            Ok(missed.into_iter().map(|(_, missed)| missed).take(limit).collect())
        };
        self.readers.read(read).await
    }

    async fn newest_number(&self) -> Result<Option<u64>, StoreError> {
        self.readers.read(|connection| since::newest(connection).map(Some)).await
    }

    async fn entries_since(&self, list: ListFor, after: u64, limit: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        // SQLite's numbers are signed.
        let after = after.min(i64::MAX.unsigned_abs());
        let read = move |connection: &Connection| match list {
            ListFor::Agent(agent) => since::of_agent(connection, agent, after, limit),
            ListFor::Customer(user) => {
                let mut theirs = direct_of(connection, user)?;
                theirs.extend(support_of(connection, user)?);
                let theirs: Vec<_> = theirs.iter().map(|summary| summary.conversation).collect();
                since::of_conversations(connection, &theirs, after, limit)
            }
        };
        self.readers.read(read).await
    }

    async fn receipts(&self, id: ConversationId) -> Result<[ReceiptCursor; 2], StoreError> {
        self.readers.read(move |connection| cursors::receipts(connection, id)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let write = |connection: &Connection| {
            // Writes a page, so that it fails if the disk is full or the file read-only.
            let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok::<(), StoreError>(connection.pragma_update(None, "user_version", version)?)
        };
        self.writer.change(write).await
    }
}

fn find(connection: &Connection, members: Members) -> Result<Option<Conversation>, StoreError> {
    let row = match members {
        Members::Support { customer } => connection
            .prepare_cached(select_summary!("c.customer = ?1 AND c.peer IS NULL"))?
            .query_row([customer.bytes()], rows::conversation),
        Members::Direct { first, second } => connection
            .prepare_cached(select_summary!("c.customer = ?1 AND c.peer = ?2"))?
            .query_row([first.bytes(), second.bytes()], rows::conversation),
    };
    Ok(row.optional()?)
}

fn insert(connection: &Connection, members: Members, at: Timestamp) -> Result<Conversation, StoreError> {
    let id = ConversationId::generate(at);
    let uuid = uuid::Uuid::new_v4().as_u128();
    let (customer, peer) = match members {
        Members::Support { customer } => (customer, None),
        Members::Direct { first, second } => (first, Some(second)),
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO conversations (id, uuid, customer, peer, created_at, status, last_seq, updated_at,
             customer_read, customer_unread, desk_read, desk_unread)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?5, 0, 0, 0, 0)",
    )?;
    let number = insert.insert(params![
        id.bytes(),
        uuid.to_be_bytes(),
        customer.bytes(),
        peer.as_ref().map(UserId::bytes),
        at.millis(),
        Status::Active.word(),
    ])?;
    Ok(Conversation { id, number: number.unsigned_abs(), uuid, members, created_at: at })
}

fn newest_support(connection: &Connection, limit: usize) -> Result<Vec<Summary>, StoreError> {
    let mut select = connection.prepare_cached(select_summary!(
        "c.peer IS NULL AND c.last_message_at IS NOT NULL AND c.status <> 'removed' \
         ORDER BY c.last_message_at DESC LIMIT ?1"
    ))?;
    let rows = select.query_map([limit], rows::summary_of)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn support_of(connection: &Connection, user: UserId) -> Result<Vec<Summary>, StoreError> {
    let mut select = connection.prepare_cached(select_summary!("c.customer = ?1 AND c.peer IS NULL"))?;
    let rows = select.query_map([user.bytes()], rows::summary_of)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn direct_of(connection: &Connection, user: UserId) -> Result<Vec<Summary>, StoreError> {
    let mut summaries = Vec::new();
    for sql in [
        select_summary!("c.customer = ?1 AND c.peer IS NOT NULL LIMIT ?2"),
        select_summary!("c.peer = ?1 AND c.customer <> ?1 LIMIT ?2"),
    ] {
        let mut select = connection.prepare_cached(sql)?;
        let rows = select.query_map(params![user.bytes(), MAX_PAGE], rows::summary_of)?;
        for row in rows {
            summaries.push(row?);
        }
    }
    Ok(summaries)
}

fn unread_of(summary: &Summary, user: UserId) -> u64 {
    summary.conversation.members.side_of(user, false).map_or(0, |side| summary.side(side).unread)
}

fn missed_in(
    connection: &Connection,
    summary: &Summary,
    list: ListFor,
) -> Result<Option<(Timestamp, Missed)>, StoreError> {
    let (user, conversation) = (list.user(), summary.conversation);
    let Some(last) = &summary.last_message else { return Ok(None) };
    let Some(side) = conversation.members.side_of(user, list.is_agent()) else { return Ok(None) };
    let mut select = connection.prepare_cached("SELECT up_to FROM delivered WHERE user = ?1 AND conversation = ?2")?;
    let recorded = select.query_row(params![user.bytes(), conversation.number], |row| row.get(0)).optional()?;
    let after = recorded.map_or(summary.side(side).read, Seq::new);
    Ok((last.seq > after).then_some((last.at, Missed { conversation, after, last_seq: summary.last_seq })))
}
