//! People's Google accounts, as the replaced server stored them.

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::UserId;
use crate::store::{MAX_PAGE, StoreError};

pub(super) fn of(connection: &Connection, users: &[UserId]) -> Result<Vec<(UserId, String)>, StoreError> {
    let sql = "SELECT google_id FROM users WHERE id = ?1 AND google_id IS NOT NULL";
    let mut select = connection.prepare_cached(sql)?;
    let mut found = Vec::new();
    for user in users.iter().take(MAX_PAGE) {
        let google_id = select.query_row([user.bytes()], |row| row.get(0)).optional()?;
        found.extend(google_id.map(|google_id| (*user, google_id)));
    }
    Ok(found)
}

pub(super) fn note(connection: &Connection, user: UserId, google_id: &str) -> Result<(), StoreError> {
    let sql = "UPDATE users SET google_id = ?2 WHERE id = ?1 AND google_id IS NULL";
    connection.prepare_cached(sql)?.execute(params![user.bytes(), google_id])?;
    Ok(())
}
