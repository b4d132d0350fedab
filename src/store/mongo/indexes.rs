//! The indexes. Creating an existing one has no effect.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{CreateIndexOptions, IndexOptions};
use mongodb::{Collection, Database, IndexModel};

use super::connection::write_concern;
use super::documents::{CONVERSATIONS, DELIVERED, ENTRIES, MESSAGES, USERS};
use crate::store::StoreError;

/// The server's error code for a collection that does not exist.
const NO_COLLECTION: i32 = 26;

/// The server's error code for an index that does not exist.
const NO_INDEX: i32 = 27;

/// Creates missing indexes, then drops those that they replace. On a large old database this takes a while, so it has
/// no deadline.
pub(super) async fn create(database: &Database) -> Result<(), StoreError> {
    for (collection, indexes) in [
        (ENTRIES, entries()),
        (CONVERSATIONS, conversations()),
        (DELIVERED, vec![unique(doc! { "user": 1, "conversation": 1 })]),
        (USERS, users()),
        (MESSAGES, messages()),
    ] {
        let collection = database.collection::<Document>(collection);
        let existing = existing(&collection).await?;
        let missing: Vec<_> =
            indexes.into_iter().filter(|index| !existing.iter().any(|there| serves_as(there, index))).collect();
        if !missing.is_empty() {
            let options = CreateIndexOptions::builder().write_concern(write_concern()).build();
            collection.create_indexes(missing).with_options(options).await?;
        }
    }
    drop_superseded(database).await?;
    // An earlier version recorded used tokens there.
    let superseded = database.collection::<Document>("spentTokens");
    if !existing(&superseded).await?.is_empty() {
        superseded.drop().await?;
    }
    Ok(())
}

/// Drops indexes of earlier versions, which could reject an entry permanently.
async fn drop_superseded(database: &Database) -> Result<(), StoreError> {
    let entries = database.collection::<Document>(ENTRIES);
    let superseded = doc! { "author": 1, "clientMessageId": 1 };
    let names = existing(&entries).await?.into_iter().filter(|there| same_keys(&there.keys, &superseded));
    for name in names.filter_map(|there| there.options?.name) {
        match entries.drop_index(name).await {
            // Another process that is starting has dropped it already.
            Err(error) if !has_code(&error, NO_INDEX) => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

async fn existing(collection: &Collection<Document>) -> Result<Vec<IndexModel>, StoreError> {
    match collection.list_indexes().await {
        Ok(indexes) => Ok(indexes.try_collect().await?),
        Err(error) if has_code(&error, NO_COLLECTION) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn has_code(error: &Error, code: i32) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(error) if error.code == code)
}

/// Whether an existing index serves the purpose of another one. The old server's differ from ours in options that do
/// not matter, such as `background`, which some servers report as a conflict.
fn serves_as(there: &IndexModel, wanted: &IndexModel) -> bool {
    let (options, wants) = (there.options.as_ref(), wanted.options.as_ref());
    let is_unique = |options: Option<&IndexOptions>| options.and_then(|options| options.unique).unwrap_or(false);
    let covers = |options: Option<&IndexOptions>| options.and_then(|options| options.partial_filter_expression.clone());
    same_keys(&there.keys, &wanted.keys) && is_unique(options) == is_unique(wants) && covers(options) == covers(wants)
}

/// Whether they have the same fields in the same order and direction, whatever the numeric type of the direction.
fn same_keys(one: &Document, other: &Document) -> bool {
    let is_forward = |value: &Bson| match value {
        Bson::Int32(number) => Some(*number > 0),
        Bson::Int64(number) => Some(*number > 0),
        Bson::Double(number) => Some(*number > 0.0),
        _ => None,
    };
    one.len() == other.len()
        && one.iter().zip(other).all(|((field, value), (same, again))| {
            field == same && is_forward(value).is_some() && is_forward(value) == is_forward(again)
        })
}

fn entries() -> Vec<IndexModel> {
    vec![
        // Assigns each seq to one entry only.
        unique(doc! { "conversation": 1, "seq": 1 }),
        // Prevents a message that is sent twice from being stored twice. Contains only entries with a client message id.
        // Begins with the conversation, as every unique index of a collection that is sharded by it must.
        partial(
            doc! { "conversation": 1, "author": 1, "clientMessageId": 1 },
            doc! { "clientMessageId": { "$gt": "" } },
            true,
        ),
        // Finds messages by their number, for the dialects that use integer ids.
        partial(doc! { "number": 1 }, doc! { "number": { "$gt": 0_i64 } }, false),
        // For the total size of each person's files. Contains only messages with a file.
        partial(doc! { "author": 1, "attachment.size": 1 }, doc! { "attachment.size": { "$gt": 0_i64 } }, false),
    ]
}

fn conversations() -> Vec<IndexModel> {
    vec![
        unique(doc! { "customer": 1, "peer": 1 }),
        // The agents' list, newest message first; and direct conversations by their second account.
        plain(doc! { "peer": 1, "lastMessage.at": -1 }),
        plain(doc! { "peer": 1, "deskUnread": 1 }),
        // All support conversations, the one that changed last first.
        plain(doc! { "peer": 1, "updatedAt": -1 }),
        plain(doc! { "uuid": 1 }),
        plain(doc! { "number": 1 }),
    ]
}

fn users() -> Vec<IndexModel> {
    // Contain only accounts with the field.
    let given = |field: &str| partial(doc! { field: 1 }, doc! { field: { "$gt": "" } }, true);
    vec![
        given("personalDetails.username"),
        given("personalDetails.session"),
        // As the old server creates it.
        unique(doc! { "email": 1 }),
        plain(doc! { "role": 1, "createdAt": 1, "_id": 1 }),
        // Accounts that the old server creates have no number at first.
        partial(doc! { "number": 1 }, doc! { "number": { "$gt": 0_i64 } }, true),
    ]
}

fn messages() -> Vec<IndexModel> {
    vec![
        // As the old server creates it.
        plain(doc! { "sender": 1, "receiver": 1, "createdAt": -1 }),
        // Finds what the old server wrote, oldest first.
        plain(doc! { "conversation": 1, "createdAt": 1, "_id": 1 }),
        // Finds the messages that a read mark covers. Contains only unread messages.
        partial(doc! { "read": 1, "conversation": 1, "seq": 1 }, doc! { "read": false }, false),
    ]
}

fn plain(keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).build()
}

fn unique(keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).options(IndexOptions::builder().unique(true).build()).build()
}

fn partial(keys: Document, of: Document, is_unique: bool) -> IndexModel {
    let options = IndexOptions::builder().unique(is_unique.then_some(true)).partial_filter_expression(of).build();
    IndexModel::builder().keys(keys).options(options).build()
}
