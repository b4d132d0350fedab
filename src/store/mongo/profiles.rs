//! Profiles: a part of their accounts.
//!
//! Earlier versions stored them in a collection of their own, which is emptied into `users` when a database is opened. That can be
//! killed and run again, and several processes may do it at once: an account is updated, unless it has a profile already, before the
//! document that it was read from is removed.

use bson::oid::ObjectId;
use bson::{Document, doc};
use futures_util::TryStreamExt;
use serde::Deserialize;

use super::connection::within;
use super::documents::USERS;
use super::updates::{Scope, Update};
use super::{Shared, queries};
use crate::domain::{NameParts, Profile, UserId};
use crate::store::{MAX_PAGE, ProfileChange, StoreError};

/// Where earlier versions stored them, by user id.
const SUPERSEDED: &str = "profiles";

/// The field of an account, with a name that other programs are unlikely to use.
pub(super) const PROFILE: &str = "personalDetails";

/// A profile, as a field of an account.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ProfileDocument {
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    contact_email: String,
    phone: String,
    /// As `YYYY-MM-DD`.
    birth_date: Option<String>,
    session: Option<String>,
}

impl From<ProfileDocument> for Profile {
    fn from(document: ProfileDocument) -> Self {
        let ProfileDocument { username, first_name, last_name, contact_email, phone, birth_date, session } = document;
        let birth_date = birth_date.and_then(|date| date.parse().ok());
        let name_parts = first_name.zip(last_name).map(|(first, last)| NameParts { first, last });
        Self { username, name_parts, contact_email, phone, birth_date, session }
    }
}

/// The field of an account; `None` if the profile is empty.
pub(super) fn written(profile: &Profile) -> Option<Document> {
    if *profile == Profile::default() {
        return None;
    }
    let mut document = doc! { "contactEmail": &profile.contact_email, "phone": &profile.phone };
    let mut put = |field: &str, value: Option<String>| {
        if let Some(value) = value {
            document.insert(field, value);
        }
    };
    put("username", profile.username.clone());
    put("firstName", profile.name_parts.as_ref().map(|parts| parts.first.clone()));
    put("lastName", profile.name_parts.as_ref().map(|parts| parts.last.clone()));
    put("birthDate", profile.birth_date.map(|date| date.to_string()));
    put("session", profile.session.clone());
    Some(document)
}

/// Adds a change to the fields that an update sets and removes. Each part of the profile has its own field.
pub(super) fn add_change(change: ProfileChange, set: &mut Document, unset: &mut Document) {
    let ProfileChange { username, name_parts, contact_email, phone, birth_date, ends_session } = change;
    let (first, last) = name_parts.map(|NameParts { first, last }| (first, last)).unzip();
    let changed = [
        ("username", username),
        ("firstName", first),
        ("lastName", last),
        ("contactEmail", contact_email),
        ("phone", phone),
        ("birthDate", birth_date.map(|date| date.to_string())),
    ];
    for (field, value) in changed {
        if let Some(value) = value {
            set.insert(format!("{PROFILE}.{field}"), value);
        }
    }
    if ends_session {
        unset.insert(format!("{PROFILE}.session"), "");
    }
}

/// A document of the superseded collection.
#[derive(Debug, Deserialize)]
struct SupersededDocument {
    #[serde(rename = "_id")]
    user: ObjectId,
    #[serde(flatten)]
    profile: ProfileDocument,
}

impl Shared {
    /// Moves the profiles that an earlier version has stored into the accounts.
    pub(super) async fn move_profiles(&self) -> Result<(), StoreError> {
        let superseded = self.database.collection::<SupersededDocument>(SUPERSEDED);
        let mut moved = 0;
        loop {
            let batch = within(async {
                let found = superseded.find(queries::everything()).sort(queries::by_id());
                let limit = i64::try_from(MAX_PAGE).unwrap_or(i64::MAX);
                Ok::<Vec<SupersededDocument>, StoreError>(found.limit(limit).await?.try_collect().await?)
            });
            let batch = batch.await?;
            if batch.is_empty() {
                break;
            }
            let ids: Vec<UserId> = batch.iter().map(|document| UserId::from_bytes(document.user.bytes())).collect();
            let update = |document: SupersededDocument| {
                // A deleted account is not updated.
                written(&document.profile.into()).map(|profile| Update {
                    filter: queries::without_profile(document.user),
                    change: doc! { "$set": { PROFILE: profile } },
                    scope: Scope::One,
                })
            };
            self.update_all(USERS, batch.into_iter().filter_map(update).collect()).await?;
            within(async { Ok::<_, StoreError>(superseded.delete_many(queries::users(&ids)).await?) }).await?;
            moved += ids.len();
        }
        if moved > 0 {
            tracing::info!(moved, "Moved profiles into their accounts");
        }
        Ok(())
    }
}
