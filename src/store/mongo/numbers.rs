//! Integer ids for dialects that need them. Each process reserves a block at a time: they are unique, but not in order.

use std::ops::RangeInclusive;

use bson::{Document, doc};
use mongodb::Collection;
use mongodb::options::ReturnDocument;
use tokio::sync::Mutex;

use super::connection::is_duplicate;
use super::documents::{int, whole};
use super::queries;
use crate::store::StoreError;

pub(super) struct Numbers {
    pub(super) users: Counter,
    pub(super) conversations: Counter,
    pub(super) messages: Counter,
}

impl Numbers {
    pub(super) fn new(state: Collection<Document>) -> Self {
        Self {
            users: Counter::new(state.clone(), "users", 20),
            conversations: Counter::new(state.clone(), "conversations", 20),
            messages: Counter::new(state, "messages", 1000),
        }
    }
}

pub(super) struct Counter {
    state: Collection<Document>,
    name: &'static str,
    block: u64,
    /// The unused part of the block.
    left: Mutex<RangeInclusive<u64>>,
}

impl Counter {
    #[expect(clippy::reversed_empty_ranges, reason = "empty until the first block is reserved")]
    fn new(state: Collection<Document>, name: &'static str, block: u64) -> Self {
        Self { state, name, block, left: Mutex::new(1..=0) }
    }

    /// The next unused number.
    pub(super) async fn take(&self) -> Result<u64, StoreError> {
        let mut left = self.left.lock().await;
        loop {
            if let Some(number) = left.next() {
                return Ok(number);
            }
            *left = self.next_block().await?;
        }
    }

    /// Makes sure that no number up to this one is assigned any more.
    pub(super) async fn raise(&self, to: u64) -> Result<(), StoreError> {
        let mut left = self.left.lock().await;
        let change = doc! { "$max": { "last": int(to) } };
        self.state.update_one(queries::state(self.name), change).upsert(true).await?;
        if *left.start() <= to {
            *left = left.end() + 1..=*left.end();
        }
        Ok(())
    }

    async fn next_block(&self) -> Result<RangeInclusive<u64>, StoreError> {
        let step = doc! { "$inc": { "last": int(self.block) } };
        loop {
            let counter = self.state.find_one_and_update(queries::state(self.name), step.clone());
            if let Some(counter) = counter.return_document(ReturnDocument::After).await? {
                let last = counter.get_i64("last").map(whole);
                let last = last.map_err(|_| StoreError::Corrupt(format!("the counter of {}", self.name)))?;
                return Ok(last.saturating_sub(self.block - 1)..=last);
            }
            match self.state.insert_one(doc! { "_id": self.name, "last": 0_i64 }).await {
                // Another process may just have created the counter.
                Err(error) if !is_duplicate(&error) => return Err(error.into()),
                Ok(_) | Err(_) => {}
            }
        }
    }
}
