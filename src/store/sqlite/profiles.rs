//! Profiles: what belongs to people beside their accounts.

use async_trait::async_trait;
use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use super::SqliteStore;
use crate::domain::user::BirthDateError;
use crate::domain::{NameParts, UserId};
use crate::store::{MAX_PAGE, Profile, ProfileStore, SaveProfileError, StoreError};

macro_rules! select_profile {
    ($rest:literal) => {
        concat!("SELECT user, username, contact_email, phone, birth_date, session, first_name, last_name FROM profiles WHERE ", $rest)
    };
}
pub(super) use select_profile;

#[async_trait]
impl ProfileStore for SqliteStore {
    async fn save_profile(&self, profile: Profile) -> Result<(), SaveProfileError> {
        self.writer.change(move |connection| save(connection, &profile)).await
    }

    async fn profiles(&self, users: &[UserId]) -> Result<Vec<Profile>, StoreError> {
        let users: Vec<UserId> = users.iter().copied().take(MAX_PAGE).collect();
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(select_profile!("user = ?1"))?;
            let mut profiles = Vec::new();
            for user in users {
                profiles.extend(select.query_row([user.bytes()], profile).optional()?);
            }
            Ok(profiles)
        };
        self.readers.read(read).await
    }

    async fn profile_by_session(&self, digest: &str) -> Result<Option<Profile>, StoreError> {
        let digest = digest.to_owned();
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(select_profile!("session = ?1"))?;
            Ok(select.query_row([digest], profile).optional()?)
        };
        self.readers.read(read).await
    }

    async fn profile_by_username(&self, username: &str) -> Result<Option<Profile>, StoreError> {
        let username = username.to_owned();
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(select_profile!("username = ?1"))?;
            Ok(select.query_row([username], profile).optional()?)
        };
        self.readers.read(read).await
    }
}

fn save(connection: &Connection, profile: &Profile) -> Result<(), SaveProfileError> {
    let upsert = connection.prepare_cached(
        "INSERT INTO profiles (user, username, contact_email, phone, birth_date, session, first_name, last_name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (user) DO UPDATE SET username = excluded.username, contact_email = excluded.contact_email,
             phone = excluded.phone, birth_date = excluded.birth_date, session = excluded.session,
             first_name = excluded.first_name, last_name = excluded.last_name",
    );
    let saved = upsert.map_err(StoreError::from)?.execute(params![
        profile.user.bytes(),
        profile.username,
        profile.contact_email,
        profile.phone,
        profile.birth_date.map(|date| date.to_string()),
        profile.session,
        profile.name_parts.as_ref().map(|parts| &parts.first),
        profile.name_parts.as_ref().map(|parts| &parts.last),
    ]);
    match saved {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Err(SaveProfileError::Taken),
        Err(error) => Err(StoreError::from(error).into()),
    }
}

fn unreadable(error: BirthDateError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(4, Type::Text, Box::new(error))
}

pub(super) fn profile(row: &Row<'_>) -> rusqlite::Result<Profile> {
    let parts: (Option<String>, Option<String>) = (row.get(6)?, row.get(7)?);
    Ok(Profile {
        user: UserId::from_bytes(row.get(0)?),
        username: row.get(1)?,
        name_parts: parts.0.zip(parts.1).map(|(first, last)| NameParts { first, last }),
        contact_email: row.get(2)?,
        phone: row.get(3)?,
        birth_date: row.get::<_, Option<String>>(4)?.map(|date| date.parse()).transpose().map_err(unreadable)?,
        session: row.get(5)?,
    })
}
