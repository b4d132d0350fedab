//! The indexes: what sharding asks of them, and databases of earlier versions.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::IndexModel;
use mongodb::options::IndexOptions;

use super::faults::named;
use super::{Fresh, available, say};
use crate::domain::Side;
use crate::store::{Appended, ConversationStore as _};

async fn keys_of(fresh: &Fresh, collection: &str, is_unique: bool) -> Vec<Document> {
    let all: Vec<IndexModel> = fresh.documents(collection).list_indexes().await.unwrap().try_collect().await.unwrap();
    let unique = |index: &IndexModel| index.options.as_ref().and_then(|options| options.unique).unwrap_or(false);
    all.into_iter().filter(|index| unique(index) == is_unique).map(|index| index.keys).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_unique_index_of_the_log_begins_with_its_shard_key() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let unique = keys_of(&fresh, "entries", true).await;
    assert_eq!(unique.len(), 2, "{unique:?}");
    for keys in unique {
        assert_eq!(keys.keys().next().map(String::as_str), Some("conversation"), "{keys}");
    }
    assert_eq!(
        keys_of(&fresh, "messages", true).await,
        [],
        "the copy is sharded by its id, and nothing else is unique"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_of_an_earlier_version_is_replaced_and_its_documents_stay() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let (one, other) = (fresh.support(1).await, fresh.support(2).await);
    let first = fresh.store.append(vec![named(say(&one, 9, Side::Desk, "here"), "m1")]).await.remove(0).unwrap();
    let Appended::New(first) = first else { panic!("it is new") };
    let earlier = IndexOptions::builder()
        .unique(true)
        .partial_filter_expression(doc! { "clientMessageId": { "$gt": "" } })
        .build();
    let keys = doc! { "author": 1, "clientMessageId": 1 };
    let earlier = IndexModel::builder().keys(keys.clone()).options(earlier).build();
    fresh.documents("entries").create_index(earlier).await.unwrap();

    for _ in 0..2 {
        let next = fresh.another().await;
        assert!(!keys_of(&fresh, "entries", true).await.contains(&keys), "a start drops it, and a second one too");
        let again = next.append(vec![named(say(&one, 9, Side::Desk, "again"), "m1")]).await.remove(0).unwrap();
        assert_eq!(again, Appended::Already(first.clone()));
        next.append(vec![named(say(&other, 9, Side::Desk, "there"), "m1")]).await.remove(0).unwrap();
        next.close().await;
    }
    assert_eq!(fresh.documents("entries").count_documents(doc! { "kind": "message" }).await.unwrap(), 2);
}
