//! Implements the port for accounts.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::rows::{self, user_columns};
use super::{SqliteStore, codes, desk_ids, sessions};
use crate::domain::{DeskId, Email, Profile, Role, Timestamp, User, UserId};
use crate::store::{MAX_PAGE, NewUser, SaveUserError, StoreError, UserChange, UserKey, UserPage, UserStore};

macro_rules! select_user {
    ($rest:literal) => {
        concat!("SELECT ", user_columns!(), " FROM users WHERE ", $rest)
    };
}

#[async_trait]
impl UserStore for SqliteStore {
    async fn create_user(&self, new: NewUser) -> Result<User, SaveUserError> {
        self.writer.change(move |connection| insert(connection, new)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.readers.read(move |connection| by_id(connection, id)).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let ids: Vec<UserId> = ids.iter().copied().take(MAX_PAGE).collect();
        let read =
            move |connection: &Connection| ids.iter().filter_map(|id| by_id(connection, *id).transpose()).collect();
        self.readers.read(read).await
    }

    async fn find_user(&self, key: UserKey<'_>) -> Result<Option<User>, StoreError> {
        let (sql, value) = match key {
            UserKey::Number(number) => match i64::try_from(number) {
                Ok(number) => (select_user!("number = ?1"), Value::from(number)),
                // SQLite assigns the numbers, so no account has one that it cannot represent.
                Err(_) => return Ok(None),
            },
            UserKey::Email(email) => (select_user!("email = ?1"), Value::from(email.as_str().to_owned())),
            UserKey::Username(username) => (select_user!("username = ?1"), Value::from(username.to_owned())),
            UserKey::Session(digest) => (select_user!("session = ?1"), Value::from(digest.to_owned())),
        };
        let read = move |connection: &Connection| {
            Ok(connection.prepare_cached(sql)?.query_row([value], rows::user).optional()?)
        };
        self.readers.read(read).await
    }

    async fn update_user(&self, id: UserId, change: UserChange, at: Timestamp) -> Result<Option<User>, SaveUserError> {
        let write = move |connection: &Connection| {
            let Some(user) = by_id(connection, id)? else { return Ok(None) };
            if !change.condition.holds(&user) {
                return Ok(None);
            }
            update(connection, changed(user, change, at)).map(Some)
        };
        self.writer.change(write).await
    }

    async fn delete_user(&self, id: UserId) -> Result<bool, StoreError> {
        let write = move |connection: &Connection| {
            Ok(connection.prepare_cached("DELETE FROM users WHERE id = ?1")?.execute([id.bytes()])? > 0)
        };
        self.writer.change(write).await
    }

    async fn users_of_role(&self, role: Role, skip: u64, limit: usize) -> Result<UserPage, StoreError> {
        let read = move |connection: &Connection| {
            let mut count = connection.prepare_cached("SELECT count(*) FROM users WHERE role = ?1")?;
            let total = count.query_row([role.word()], |row| row.get(0))?;
            let mut select = connection.prepare_cached(select_user!("role = ?1 ORDER BY number LIMIT ?2 OFFSET ?3"))?;
            let skip = i64::try_from(skip).unwrap_or(i64::MAX);
            let users = select.query_map(params![role.word(), limit.min(MAX_PAGE), skip], rows::user)?;
            Ok(UserPage { users: users.collect::<Result<_, _>>()?, total })
        };
        self.readers.read(read).await
    }

    async fn first_agent(&self) -> Result<Option<User>, StoreError> {
        let read = |connection: &Connection| {
            let mut select =
                connection.prepare_cached(select_user!("role = ?1 AND status <> 'Blocked' ORDER BY number LIMIT 1"))?;
            for role in [Role::Admin, Role::Agent] {
                if let Some(user) = select.query_row([role.word()], rows::user).optional()? {
                    return Ok(Some(user));
                }
            }
            Ok(None)
        };
        self.readers.read(read).await
    }

    async fn desk_ids(&self) -> Result<Vec<DeskId>, StoreError> {
        self.readers.read(desk_ids::all).await
    }

    async fn pin_desk(&self, id: DeskId) -> Result<Vec<DeskId>, StoreError> {
        self.writer.change(move |connection| desk_ids::pin(connection, id)).await
    }
}

fn by_id(connection: &Connection, id: UserId) -> Result<Option<User>, StoreError> {
    Ok(connection.prepare_cached(select_user!("id = ?1"))?.query_row([id.bytes()], rows::user).optional()?)
}

fn insert(connection: &Connection, new: NewUser) -> Result<User, SaveUserError> {
    let mut insert = connection
        .prepare_cached(
            "INSERT INTO users (id, name, email, password_hash, role, status, created_at, updated_at, codes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)",
        )
        .map_err(StoreError::from)?;
    let number = insert.insert(params![
        new.id.bytes(),
        new.name,
        new.email.as_ref().map(Email::as_str),
        new.password_hash,
        new.role.word(),
        new.status.word(),
        new.at.millis(),
        codes::written(&new.pending_codes),
    ]);
    let user = new.numbered(number.map_err(save_error)?.unsigned_abs());
    if user.profile == Profile::default() { Ok(user) } else { update(connection, user) }
}

fn changed(mut user: User, change: UserChange, at: Timestamp) -> User {
    change.ended_sessions().make(&mut user.sessions, at);
    user.name = change.name.unwrap_or(user.name);
    user.email = change.email.or(user.email);
    user.password_hash = change.password_hash.or(user.password_hash);
    user.role = change.role.unwrap_or(user.role);
    user.status = change.status.unwrap_or(user.status);
    change.codes.make(&mut user.pending_codes);
    change.profile.make(&mut user.profile);
    user.updated_at = at;
    user
}

fn update(connection: &Connection, user: User) -> Result<User, SaveUserError> {
    let mut update = connection
        .prepare_cached(
            "UPDATE users SET name = ?2, email = ?3, password_hash = ?4, role = ?5, status = ?6, codes = ?7,
                 updated_at = ?8, sessions = ?9, username = ?10, first_name = ?11, last_name = ?12, contact_email = ?13,
                 phone = ?14, birth_date = ?15, session = ?16
             WHERE id = ?1",
        )
        .map_err(StoreError::from)?;
    let updated = update.execute(params![
        user.id.bytes(),
        user.name,
        user.email.as_ref().map(Email::as_str),
        user.password_hash,
        user.role.word(),
        user.status.word(),
        codes::written(&user.pending_codes),
        user.updated_at.millis(),
        sessions::written(&user.sessions),
        user.profile.username,
        user.profile.name_parts.as_ref().map(|parts| &parts.first),
        user.profile.name_parts.as_ref().map(|parts| &parts.last),
        user.profile.contact_email,
        user.profile.phone,
        user.profile.birth_date.map(|date| date.to_string()),
        user.profile.session,
    ]);
    updated.map_err(save_error)?;
    Ok(user)
}

/// Two accounts can clash over an address, a username or a session: ids are random.
fn save_error(error: rusqlite::Error) -> SaveUserError {
    if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
        StoreError::from(error).into()
    } else if error.to_string().contains("users.email") {
        SaveUserError::EmailTaken
    } else {
        SaveUserError::UsernameTaken
    }
}
