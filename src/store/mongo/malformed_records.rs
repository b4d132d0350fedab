//! Finds malformed documents, for `verify`.

use bson::{Bson, Document};
use futures_util::TryStreamExt;

use super::documents::{MESSAGES, USERS};
use super::old_messages::OldMessage;
use super::{Shared, queries, user_documents};
use crate::store::{MalformedRecord, StoreError};

impl Shared {
    /// Reads all accounts, so it has no deadline.
    pub(super) async fn malformed_records(
        &self,
        tell: &mut (dyn FnMut(MalformedRecord) + Send),
    ) -> Result<(), StoreError> {
        let users = self.users.clone_with_type::<Document>();
        let mut users = users.find(queries::everything()).sort(queries::by_id()).await?;
        while let Some(document) = users.try_next().await? {
            let id = id_of(&document);
            let fields = user_documents::odd_fields(document);
            if fields.as_ref().is_none_or(|fields| !fields.is_empty()) {
                tell(MalformedRecord { collection: USERS, id, fields: fields.unwrap_or_default() });
            }
        }
        let left_out = self.messages.find(queries::messages_left_out()).sort(queries::oldest_first());
        let mut left_out = left_out.await?;
        while let Some(document) = left_out.try_next().await? {
            let fields = OldMessage::read(&document).err().into_iter().collect();
            tell(MalformedRecord { collection: MESSAGES, id: id_of(&document), fields });
        }
        Ok(())
    }
}

fn id_of(document: &Document) -> String {
    match document.get("_id") {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
