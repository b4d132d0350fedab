//! The ids under which customers know the desk.

use rusqlite::{Connection, params};

use crate::domain::{DeskId, UserId};
use crate::store::StoreError;

pub(super) fn all(connection: &Connection) -> Result<Vec<DeskId>, StoreError> {
    let mut select = connection.prepare_cached("SELECT user, number FROM desk_ids ORDER BY position")?;
    let ids = select.query_map([], |row| Ok(DeskId { user: UserId::from_bytes(row.get(0)?), number: row.get(1)? }))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

pub(super) fn pin(connection: &Connection, id: DeskId) -> Result<Vec<DeskId>, StoreError> {
    let sql = "INSERT INTO desk_ids (user, number) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM desk_ids)";
    connection.prepare_cached(sql)?.execute(params![id.user.bytes(), id.number])?;
    all(connection)
}

pub(super) fn add(connection: &Connection, id: DeskId) -> Result<(), StoreError> {
    let sql = "INSERT INTO desk_ids (user, number) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![id.user.bytes(), id.number])?;
    Ok(())
}
