//! Bans: one document with a field for each ban, so that all are read at once and each changes atomically.

use async_trait::async_trait;
use bson::{Bson, Document, doc};

use super::connection::within;
use super::documents::{date, time};
use super::{MongoStore, Shared, queries};
use crate::domain::{Ban, Banned, Timestamp};
use crate::store::{BanStore, MAX_BANS, StoreError};

/// The id of the document, and the name of its field with the bans.
const BANS: &str = "bans";

#[async_trait]
impl BanStore for MongoStore {
    async fn save_ban(&self, ban: Ban, now: Timestamp) -> Result<bool, StoreError> {
        within(async {
            let (hold, ended): (Vec<Ban>, Vec<Ban>) =
                self.shared.read_bans().await?.into_iter().partition(|ban| ban.until > now);
            if hold.iter().filter(|other| other.who != ban.who).count() >= MAX_BANS {
                return Ok(false);
            }
            let until = Bson::from(date(ban.until));
            let mut change = doc! { "$set": { field(ban.who): until } };
            let ended: Document =
                ended.iter().filter(|old| old.who != ban.who).map(|old| (field(old.who), Bson::from(""))).collect();
            if !ended.is_empty() {
                change.insert("$unset", ended);
            }
            self.shared.state.update_one(queries::state(BANS), change).upsert(true).await?;
            Ok(true)
        })
        .await
    }

    async fn lift_ban(&self, who: Banned) -> Result<bool, StoreError> {
        within(async {
            let change = doc! { "$unset": { field(who): "" } };
            let lifted = self.shared.state.update_one(queries::state(BANS), change).await?;
            Ok(lifted.modified_count > 0)
        })
        .await
    }

    async fn bans(&self, now: Timestamp) -> Result<Vec<Ban>, StoreError> {
        within(async {
            let mut bans = self.shared.read_bans().await?;
            bans.retain(|ban| ban.until > now);
            bans.sort_by_key(|ban| (ban.until, ban.who));
            Ok(bans)
        })
        .await
    }
}

impl Shared {
    async fn read_bans(&self) -> Result<Vec<Ban>, StoreError> {
        let Some(kept) = self.state.find_one(queries::state(BANS)).await? else { return Ok(Vec::new()) };
        let Ok(bans) = kept.get_document(BANS) else { return Ok(Vec::new()) };
        let read = |(key, until): (&String, &Bson)| {
            let who = key.replace(',', ".").parse().ok()?;
            Some(Ban { who, until: time(*until.as_datetime()?) })
        };
        Ok(bans.iter().filter_map(read).collect())
    }
}

/// The field of a ban. A dot in its name would make it a path.
fn field(who: Banned) -> String {
    format!("{BANS}.{}", who.to_string().replace('.', ","))
}
