//! Maintenance of what belongs to people beside their accounts.

use rusqlite::{Connection, OptionalExtension, params};

use super::profiles::{profile, select_profile};
use crate::domain::UserId;
use crate::store::{MAX_PAGE, Profile, StoreError};

pub(super) fn google_ids(connection: &Connection, users: &[UserId]) -> Result<Vec<(UserId, String)>, StoreError> {
    let sql = "SELECT google_id FROM users WHERE id = ?1 AND google_id IS NOT NULL";
    let mut select = connection.prepare_cached(sql)?;
    let mut found = Vec::new();
    for user in users.iter().take(MAX_PAGE) {
        let google_id = select.query_row([user.bytes()], |row| row.get(0)).optional()?;
        found.extend(google_id.map(|google_id| (*user, google_id)));
    }
    Ok(found)
}

pub(super) fn note_google_id(connection: &Connection, user: UserId, google_id: &str) -> Result<(), StoreError> {
    let sql = "UPDATE users SET google_id = ?2 WHERE id = ?1 AND google_id IS NULL";
    connection.prepare_cached(sql)?.execute(params![user.bytes(), google_id])?;
    Ok(())
}

pub(super) fn profiles_after(
    connection: &Connection,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<Profile>, StoreError> {
    let mut select = connection.prepare_cached(select_profile!("user > ?1 ORDER BY user LIMIT ?2"))?;
    let after = after.as_ref().map_or(&[][..], |after| after.bytes());
    let profiles = select.query_map(params![after, limit.min(MAX_PAGE)], profile)?;
    Ok(profiles.collect::<Result<_, _>>()?)
}
