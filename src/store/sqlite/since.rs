//! The order of all entries across conversations: by number, in commit order.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::{self, select_entry};
use crate::domain::{Conversation, Entry, Seq, UserId};
use crate::store::StoreError;

/// The number of the newest entry; 0 if there is none.
pub(super) fn newest(connection: &Connection) -> Result<u64, StoreError> {
    let mut select = connection.prepare_cached("SELECT coalesce(max(number), 0) FROM entries")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// Entries of all support conversations, and of this agent's direct ones, beyond a number.
pub(super) fn of_agent(
    connection: &Connection,
    agent: UserId,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, Entry)>, StoreError> {
    let mut select = connection.prepare_cached(select_entry!(
        "e.number > ?1 AND (c.peer IS NULL OR c.customer = ?2 OR c.peer = ?2) ORDER BY e.number LIMIT ?3"
    ))?;
    let found = select.query_map(params![after, agent.bytes(), limit], numbered)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Entries of these conversations beyond a number.
pub(super) fn of_conversations(
    connection: &Connection,
    conversations: &[Conversation],
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, Entry)>, StoreError> {
    let mut all = Vec::new();
    for conversation in conversations {
        // Walks back from the end of the log, so that the cost depends on the number of new entries only.
        let mut select = connection.prepare_cached(
            "SELECT seq FROM entries WHERE conversation = ?1 AND number <= ?2 ORDER BY seq DESC LIMIT 1",
        )?;
        let had = select.query_row(params![conversation.number, after], |row| row.get(0)).optional()?;
        let had = had.map_or(Seq::ZERO, Seq::new);
        let mut select =
            connection.prepare_cached(select_entry!("e.conversation = ?1 AND e.seq > ?2 ORDER BY e.seq LIMIT ?3"))?;
        let found = select.query_map(params![conversation.number, had.get(), limit], numbered)?;
        for entry in found {
            all.push(entry?);
        }
    }
    all.sort_unstable_by_key(|(number, _)| *number);
    all.truncate(limit);
    Ok(all)
}

fn numbered(row: &rusqlite::Row<'_>) -> rusqlite::Result<(u64, Entry)> {
    Ok((row.get(7)?, rows::entry(row)?))
}
