//! Bans.

use async_trait::async_trait;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use crate::domain::{Ban, Banned, Timestamp};
use crate::store::{BanStore, MAX_BANS, StoreError};

#[async_trait]
impl BanStore for SqliteStore {
    async fn save_ban(&self, ban: Ban, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.change(move |connection| save(connection, ban, now)).await
    }

    async fn lift_ban(&self, who: Banned) -> Result<bool, StoreError> {
        let lift = move |connection: &Connection| {
            let deleted = connection.prepare_cached("DELETE FROM bans WHERE who = ?1")?.execute([who.to_string()])?;
            Ok(deleted > 0)
        };
        self.writer.change(lift).await
    }

    async fn bans(&self, now: Timestamp) -> Result<Vec<Ban>, StoreError> {
        let read = move |connection: &Connection| {
            let sql = "SELECT who, until FROM bans WHERE until > ?1 ORDER BY until, who LIMIT ?2";
            let mut select = connection.prepare_cached(sql)?;
            let bans = select.query_map(params![now.millis(), MAX_BANS], ban)?;
            Ok(bans.collect::<Result<_, _>>()?)
        };
        self.readers.read(read).await
    }
}

fn save(connection: &Connection, ban: Ban, now: Timestamp) -> Result<bool, StoreError> {
    connection.prepare_cached("DELETE FROM bans WHERE until <= ?1")?.execute([now.millis()])?;
    let who = ban.who.to_string();
    let count = "SELECT count(*) FROM bans WHERE who <> ?1";
    let others: usize = connection.prepare_cached(count)?.query_row([&who], |row| row.get(0))?;
    if others >= MAX_BANS {
        return Ok(false);
    }
    let upsert = "INSERT INTO bans (who, until) VALUES (?1, ?2) ON CONFLICT (who) DO UPDATE SET until = excluded.until";
    connection.prepare_cached(upsert)?.execute(params![who, ban.until.millis()])?;
    Ok(true)
}

fn ban(row: &Row<'_>) -> rusqlite::Result<Ban> {
    let who: String = row.get(0)?;
    let who = who.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))?;
    Ok(Ban { who, until: Timestamp::from_millis(row.get(1)?) })
}
