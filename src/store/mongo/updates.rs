//! Several updates in one command. The driver's own call for that requires a server of version 8.0.

use bson::{Document, doc, serialize_to_bson};
use mongodb::error::ErrorKind;
use serde::Deserialize;

use super::Shared;
use super::connection::{within, write_concern};
use crate::store::StoreError;

/// Updates in one command: as many as even a slow server can do before the deadline.
const MOST: usize = 200;

/// Bytes in one command; the server accepts 16 MiB.
const MOST_BYTES: usize = 4 << 20;

/// One update. It must be idempotent.
pub(super) struct Update {
    pub(super) filter: Document,
    pub(super) change: Document,
    pub(super) scope: Scope,
}

/// The documents that an update applies to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The one document that the filter names, if it exists.
    One,
    /// The same; it is created if it does not exist.
    OneOrNew,
    /// All documents that match the filter.
    All,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// Documents that were matched or created.
    n: u64,
    #[serde(default)]
    write_errors: Vec<Failed>,
    #[serde(default)]
    write_concern_error: Option<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    code: i32,
}

impl Shared {
    /// Runs these updates in order. Returns how many documents they applied to. The deadline is for each command, not
    /// for all of them.
    pub(super) async fn update_all(&self, collection: &str, updates: Vec<Update>) -> Result<u64, StoreError> {
        let mut waiting = Vec::new();
        let mut bytes = 0;
        let mut count = 0;
        for update in updates {
            let update = doc! {
                "q": update.filter,
                "u": update.change,
                "upsert": update.scope == Scope::OneOrNew,
                "multi": update.scope == Scope::All,
            };
            bytes += update.to_vec().map_or(0, |encoded| encoded.len());
            waiting.push(update);
            if waiting.len() >= MOST || bytes >= MOST_BYTES {
                count += within(self.run_updates(collection, std::mem::take(&mut waiting))).await?;
                bytes = 0;
            }
        }
        if !waiting.is_empty() {
            count += within(self.run_updates(collection, waiting)).await?;
        }
        Ok(count)
    }

    async fn run_updates(&self, collection: &str, updates: Vec<Document>) -> Result<u64, StoreError> {
        let write_concern =
            serialize_to_bson(&write_concern()).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let command = doc! { "update": collection, "updates": updates, "writeConcern": write_concern };
        let answer = match self.database.run_command(command.clone()).await {
            // The connection was idle while the server restarted. The driver does not retry this command itself.
            Err(error) if matches!(error.kind.as_ref(), ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. }) => {
                self.database.run_command(command).await?
            }
            answer => answer?,
        };
        let answer: Answer =
            bson::deserialize_from_document(answer).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        match answer.write_errors.into_iter().chain(answer.write_concern_error).next() {
            None => Ok(answer.n),
            Some(failed) => Err(StoreError::Unavailable(format!("an update was refused with code {}", failed.code))),
        }
    }
}
