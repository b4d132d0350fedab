//! People's Google accounts, as the replaced server stored them.

use bson::{Document, doc};
use futures_util::TryStreamExt;

use super::{Shared, queries};
use crate::domain::UserId;
use crate::store::{MAX_PAGE, StoreError};

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

    pub(super) async fn restore_google_id(&self, user: UserId, google_id: &str) -> Result<(), StoreError> {
        let change = doc! { "$set": { "googleId": google_id } };
        self.users.update_one(queries::without_google_id(user), change).await?;
        Ok(())
    }
}
