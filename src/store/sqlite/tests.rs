//! The contract over SQLite, and what only a file can show.

use std::future::{Ready, ready};
use std::sync::Arc;

use tempfile::TempDir;

use super::{DataFileLock, DataFileLocked, SqliteStore};
use crate::store::Stores;
use crate::store::contract::store_contract;

fn fresh() -> Ready<(Stores, (Arc<SqliteStore>, TempDir))> {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("deskline.db")).unwrap();
    ready((store.stores(), (store, folder)))
}

store_contract!(fresh);

#[test]
fn a_data_file_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deskline.db");
    let held = DataFileLock::take(&path).unwrap();
    assert!(matches!(DataFileLock::take(&path), Err(DataFileLocked::InUse(_))));
    drop(held);
    DataFileLock::take(&path).unwrap();
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deskline.db");
    drop(SqliteStore::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 999).unwrap();
    let refused = SqliteStore::open(&path).map(drop).unwrap_err().to_string();
    assert!(refused.contains("newer version"), "{refused}");
}

#[tokio::test]
async fn every_query_of_the_agents_list_is_served_by_an_index() {
    let (_stores, (_store, folder)) = fresh().await;
    let raw = rusqlite::Connection::open(folder.path().join("deskline.db")).unwrap();
    for sql in [
        "SELECT * FROM conversations c WHERE c.peer IS NULL AND c.last_message_at IS NOT NULL
         ORDER BY c.last_message_at DESC LIMIT 10",
        "SELECT * FROM conversations c WHERE c.peer IS NULL ORDER BY c.updated_at DESC LIMIT 10 OFFSET 10",
        "SELECT * FROM conversations c WHERE c.uuid = x'00'",
        "SELECT * FROM profiles WHERE session = 'x'",
        "SELECT * FROM profiles WHERE username = 'x'",
        "SELECT sum(desk_unread) FROM conversations WHERE peer IS NULL AND desk_unread > 0",
        "SELECT * FROM conversations c WHERE c.customer = x'00' AND c.peer IS NULL",
        "SELECT * FROM conversations c WHERE c.peer = x'00' AND c.customer <> x'00'",
        "SELECT * FROM entries e JOIN conversations c ON c.number = e.conversation
         WHERE c.id = x'00' AND e.seq > 1 ORDER BY e.seq LIMIT 10",
    ] {
        let mut explain = raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps: Vec<String> = explain.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        assert!(!steps.iter().any(|step| step.starts_with("SCAN") && !step.contains("USING")), "{sql}: {steps:?}");
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {steps:?}");
    }
}
