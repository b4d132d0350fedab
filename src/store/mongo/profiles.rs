//! Profiles: what belongs to people beside their accounts.

use async_trait::async_trait;
use bson::doc;
use bson::oid::ObjectId;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::connection::{is_duplicate, within};
use super::documents::object_id;
use super::{MongoStore, queries};
use crate::domain::{NameParts, UserId};
use crate::store::{MAX_PAGE, Profile, ProfileStore, SaveProfileError, StoreError};

pub(super) const PROFILES: &str = "profiles";

/// One profile.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileDocument {
    /// The person's.
    #[serde(rename = "_id")]
    id: ObjectId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    contact_email: String,
    phone: String,
    /// As `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    birth_date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
}

impl From<Profile> for ProfileDocument {
    fn from(profile: Profile) -> Self {
        let Profile { user, username, name_parts, contact_email, phone, birth_date, session } = profile;
        let birth_date = birth_date.map(|date| date.to_string());
        let (first_name, last_name) = name_parts.map(|NameParts { first, last }| (first, last)).unzip();
        Self { id: object_id(user.bytes()), username, first_name, last_name, contact_email, phone, birth_date, session }
    }
}

impl From<ProfileDocument> for Profile {
    fn from(document: ProfileDocument) -> Self {
        let ProfileDocument { id, username, first_name, last_name, contact_email, phone, birth_date, session } =
            document;
        let birth_date = birth_date.and_then(|date| date.parse().ok());
        let name_parts = first_name.zip(last_name).map(|(first, last)| NameParts { first, last });
        Self { user: UserId::from_bytes(id.bytes()), username, name_parts, contact_email, phone, birth_date, session }
    }
}

impl MongoStore {
    async fn profile_with(&self, field: &'static str, value: &str) -> Result<Option<Profile>, StoreError> {
        if value.is_empty() {
            return Ok(None);
        }
        within(async {
            let found = self.shared.profiles.find_one(queries::profile_with(field, value)).await?;
            Ok(found.map(Profile::from))
        })
        .await
    }
}

#[async_trait]
impl ProfileStore for MongoStore {
    async fn save_profile(&self, profile: Profile) -> Result<(), SaveProfileError> {
        within(async {
            let id = queries::user(profile.user);
            let saved = self.shared.profiles.replace_one(id, ProfileDocument::from(profile)).upsert(true).await;
            match saved {
                Ok(_) => Ok(()),
                Err(error) if is_duplicate(&error) => Err(SaveProfileError::Taken),
                Err(error) => Err(StoreError::from(error).into()),
            }
        })
        .await
    }

    async fn profiles(&self, users: &[UserId]) -> Result<Vec<Profile>, StoreError> {
        let wanted = &users[..users.len().min(MAX_PAGE)];
        within(async {
            let found: Vec<ProfileDocument> =
                self.shared.profiles.find(queries::users(wanted)).await?.try_collect().await?;
            Ok(found.into_iter().map(Profile::from).collect())
        })
        .await
    }

    async fn profile_by_session(&self, digest: &str) -> Result<Option<Profile>, StoreError> {
        self.profile_with("session", digest).await
    }

    async fn profile_by_username(&self, username: &str) -> Result<Option<Profile>, StoreError> {
        self.profile_with("username", username).await
    }
}
