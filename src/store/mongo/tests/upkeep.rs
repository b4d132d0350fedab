//! Moving in and out, and repairs.

use mongodb::bson::Document;

use super::{Fresh, available};
use crate::store::{OpenStore, StoreLocation, upkeep_contract};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_file_moves_in() {
    if available() {
        let (fresh, folder) = (Fresh::open().await, tempfile::tempdir().unwrap());
        let file = StoreLocation::Sqlite(folder.path().join("deskline.db")).open().await.unwrap();
        let mongo = OpenStore::Mongo(fresh.store.clone());
        upkeep_contract::a_store_moves_into_another_and_lives_on_there(&file, &mongo).await;
        fresh.store.settle().await.unwrap();
        assert_eq!(fresh.documents("messages").count_documents(Document::new()).await.unwrap(), 11);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_moves_out() {
    if available() {
        let (fresh, folder) = (Fresh::open().await, tempfile::tempdir().unwrap());
        let file = StoreLocation::Sqlite(folder.path().join("deskline.db")).open().await.unwrap();
        let mongo = OpenStore::Mongo(fresh.store.clone());
        upkeep_contract::a_store_moves_into_another_and_lives_on_there(&mongo, &file).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_projections_are_found_and_put_right() {
    if available() {
        let fresh = Fresh::open().await;
        upkeep_contract::wrong_projections_are_found_and_put_right(&OpenStore::Mongo(fresh.store.clone())).await;
    }
}
