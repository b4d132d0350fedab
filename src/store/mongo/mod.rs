//! The production store: MongoDB, standalone or replica set, through the official driver.
//!
//! # The log is the source of truth
//!
//! `entries` is the log, with one document per entry of every kind. An entry gets its
//! seq by being inserted: a unique index over `(conversation, seq)` lets one writer win, and seq *n* + 1 is tried only
//! after *n* is known to be stored, so neither a crash nor a second process can leave a gap or a duplicate. No
//! transaction is needed.
//!
//! The projections are derived from the log and repaired from it:
//!
//! * `conversations` has the fixed facts and the projections of [`Summary`](crate::domain::Summary). An update is
//!   guarded by `lastSeq`, so it only moves forward; a reader that finds it behind the log applies the missing entries
//!   ([`projection`]).
//! * The document of a message in `entries` also has its last edit or deletion (`revision`), see [`revisions`].
//! * `messages` is a copy in the replaced server's shape, for that server and its tools. It is written in the
//!   background, after the acknowledgement, from `mirrored` (a field of the conversation) onwards ([`mirror`]).
//!
//! Why the log is not `messages` itself: read marks and status changes have a seq too, and one unique index has to
//! cover them all, but the old server would find documents there that are not messages. Besides, a tool that deletes or
//! rewrites documents in the old server's collection must not be able to damage the log. The cost is that each text is
//! stored twice.
//!
//! `users` is the replaced server's collection, with additional fields of ours. Its `email` is required and unique
//! there, so a visitor has a placeholder address under `.invalid`, and `visitor: true`.
//!
//! Messages that the old server wrote have no `conversation`; [`migrate`] imports them into the log.
//!
//! # Shards
//!
//! `entries` can be sharded by `conversation`: both unique indexes begin with it, and every append and every page is
//! for one conversation.
//!
//! Reading order: [`documents`], [`queries`], [`connection`], [`append`], [`lanes`], [`projection`],
//! [`revisions`], [`mirror`], [`migrate`],
//! then the parts of the port.

use std::sync::Arc;

use bson::{Document, doc};
use mongodb::{Collection, Database};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{StoreError, Stores};
use crate::supervise::restarting;

mod append;
mod bans;
mod connection;
mod conversations;
mod copies;
mod desk_ids;
mod documents;
mod extras;
mod google_ids;
mod indexes;
mod lanes;
mod maintenance;
mod malformed_accounts;
mod malformed_records;
mod migrate;
mod mirror;
mod numbers;
mod old_messages;
mod profiles;
mod projection;
mod queries;
mod revisions;
mod session_documents;
#[cfg(test)]
mod tests;
mod updates;
mod user_documents;
mod users;

pub use migrate::{Append, Progress};

use connection::within;
use documents::{ConversationDocument, DeliveredDocument, EntryDocument};
use lanes::Lanes;
use mirror::Mirror;
use numbers::Numbers;
use user_documents::UserDocument;

/// Users and logs in one MongoDB database.
pub struct MongoStore {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// State that the background tasks share with the store.
struct Shared {
    database: Database,
    entries: Collection<EntryDocument>,
    conversations: Collection<ConversationDocument>,
    delivered: Collection<DeliveredDocument>,
    /// Boxed: an account is large, and every future that reads one would hold it several times.
    users: Collection<Box<UserDocument>>,
    messages: Collection<Document>,
    /// Small documents of the store: counters, bans, the health check, the conversations that an import has begun, the
    /// ids of the desk.
    state: Collection<Document>,
    numbers: Numbers,
    lanes: Lanes,
    mirror: Mirror,
}

impl MongoStore {
    /// Connects to `uri`, and creates missing indexes. The database is the one that the URI names, else
    /// `default_database`.
    ///
    /// # Errors
    /// [`StoreError`] if the URI is malformed, or no server answers within five seconds.
    pub async fn open(uri: &str, default_database: &str) -> Result<Arc<Self>, StoreError> {
        Self::on(connection::connect(uri, default_database).await?).await
    }

    async fn on(database: Database) -> Result<Arc<Self>, StoreError> {
        indexes::create(&database).await?;
        let state = database.collection("deskline");
        let shared = Arc::new(Shared {
            entries: database.collection(documents::ENTRIES),
            conversations: database.collection(documents::CONVERSATIONS),
            delivered: database.collection(documents::DELIVERED),
            users: database.collection(documents::USERS),
            messages: database.collection(documents::MESSAGES),
            numbers: Numbers::new(state.clone()),
            lanes: Lanes::default(),
            mirror: Mirror::default(),
            state,
            database,
        });
        let store = Self { shared, tasks: TaskTracker::new(), stop: CancellationToken::new() };
        store.shared.move_extras().await?;
        store.shared.move_profiles().await?;
        within(store.shared.pin_first_agent()).await?;
        store.shared.repair_lagging().await?;
        let (shared, stop) = (store.shared.clone(), store.stop.clone());
        let copying = restarting("mirror of `messages`", move || mirror::keep_up(shared.clone(), stop.clone()));
        store.tasks.spawn(copying);
        Ok(Arc::new(store))
    }

    /// All parts of the port.
    #[must_use]
    pub fn stores(self: &Arc<Self>) -> Stores {
        Stores { users: self.clone(), conversations: self.clone(), bans: self.clone(), is_shared: true }
    }

    /// Waits until `messages` shows everything that was appended before this call.
    ///
    /// # Errors
    /// [`StoreError`] if the server fails meanwhile; copying then continues later.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.shared.flush_mirror().await
    }

    /// Finishes the background work that has begun, and stops it.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(error) = self.flush().await {
            tracing::warn!(%error, "The copy in `messages` is behind; the next start updates it");
        }
    }

    /// Drops the database.
    pub(super) async fn erase(&self) -> Result<(), StoreError> {
        Ok(self.shared.database.drop().await?)
    }
}

impl Drop for MongoStore {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    /// Writes a small document to a majority of the servers, and reads it back.
    async fn check(&self) -> Result<(), StoreError> {
        let id = queries::state("check");
        self.state.update_one(id.clone(), doc! { "$inc": { "count": 1_i64 } }).upsert(true).await?;
        match self.state.find_one(id).await? {
            Some(_) => Ok(()),
            None => Err(StoreError::Unavailable("a document could not be read back after it was written".into())),
        }
    }
}
