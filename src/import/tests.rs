//! Moves between data files; those to and from MongoDB are with its tests.

use crate::store::{OpenStore, StoreLocation, upkeep_contract};

async fn file(folder: &tempfile::TempDir, name: &str) -> OpenStore {
    StoreLocation::Sqlite(folder.path().join(name)).open().await.unwrap()
}

#[tokio::test]
async fn a_data_file_moves_into_another() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (file(&folder, "one.db").await, file(&folder, "other.db").await);
    upkeep_contract::a_store_moves_into_another_and_lives_on_there(&one, &other).await;
}
