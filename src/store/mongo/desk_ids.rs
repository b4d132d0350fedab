//! The ids under which customers know the desk, in one document, so that they are pinned atomically.

use bson::{Bson, Document, doc};

use super::connection::is_duplicate;
use super::documents::{int, object_id, whole};
use super::{Shared, queries};
use crate::domain::{DeskId, UserId};
use crate::store::StoreError;

impl Shared {
    pub(super) async fn desk_ids(&self) -> Result<Vec<DeskId>, StoreError> {
        let Some(kept) = self.state.find_one(desk()).await? else { return Ok(Vec::new()) };
        let ids = kept.get_array("ids").map(Vec::as_slice).unwrap_or_default();
        let read = |id: &Bson| {
            let id = id.as_document()?;
            let user = UserId::from_bytes(id.get_object_id("user").ok()?.bytes());
            Some(DeskId { user, number: whole(id.get_i64("number").ok()?) })
        };
        Ok(ids.iter().filter_map(read).collect())
    }

    pub(super) async fn pin_desk(&self, id: DeskId) -> Result<Vec<DeskId>, StoreError> {
        let first = doc! { "$setOnInsert": { "ids": [document(id)] } };
        match self.state.update_one(desk(), first).upsert(true).await {
            Ok(_) => {}
            // Another process has pinned one in the same moment.
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(error.into()),
        }
        self.desk_ids().await
    }

    pub(super) async fn add_desk_id(&self, id: DeskId) -> Result<(), StoreError> {
        if !self.pin_desk(id).await?.contains(&id) {
            let change = doc! { "$push": { "ids": document(id) } };
            self.state.update_one(queries::desk_ids_without(id.user), change).await?;
        }
        Ok(())
    }

    /// Pins the id by which the customers of an existing database know the desk.
    pub(super) async fn pin_first_agent(&self) -> Result<(), StoreError> {
        if self.desk_ids().await?.is_empty()
            && let Some(first) = self.first_agent().await?
        {
            self.pin_desk(DeskId::from(&first)).await?;
        }
        Ok(())
    }
}

fn desk() -> Document {
    queries::state(queries::DESK_IDS)
}

fn document(id: DeskId) -> Document {
    doc! { "user": object_id(id.user.bytes()), "number": int(id.number) }
}
