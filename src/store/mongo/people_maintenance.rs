//! Maintenance of what belongs to people beside their accounts.

use bson::{Document, doc};
use futures_util::TryStreamExt;

use super::documents::object_id;
use super::profiles::ProfileDocument;
use super::projection::bounded;
use super::{Shared, queries};
use crate::domain::UserId;
use crate::store::{MAX_PAGE, Profile, StoreError};

impl Shared {
    pub(super) async fn google_ids(&self, users: &[UserId]) -> Result<Vec<(UserId, String)>, StoreError> {
        let wanted = queries::users(&users[..users.len().min(MAX_PAGE)]);
        let documents = self.users.clone_with_type::<Document>();
        let found = documents.find(wanted).projection(doc! { "googleId": 1 });
        let found: Vec<Document> = found.await?.try_collect().await?;
        let google_id = |document: Document| {
            let user = UserId::from_bytes(document.get_object_id("_id").ok()?.bytes());
            Some((user, document.get_str("googleId").ok()?.to_owned()))
        };
        Ok(found.into_iter().filter_map(google_id).collect())
    }

    pub(super) async fn note_google_id(&self, user: UserId, google_id: &str) -> Result<(), StoreError> {
        let change = doc! { "$set": { "googleId": google_id } };
        self.users.update_one(queries::without_google_id(user), change).await?;
        Ok(())
    }

    pub(super) async fn profiles_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<Profile>, StoreError> {
        let after = after.map(|after| object_id(after.bytes()));
        let found = self.profiles.find(queries::beyond(after)).sort(queries::by_id()).limit(bounded(limit));
        let documents: Vec<ProfileDocument> = found.await?.try_collect().await?;
        Ok(documents.into_iter().map(Profile::from).collect())
    }
}
