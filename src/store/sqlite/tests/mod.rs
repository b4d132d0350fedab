//! The contract over SQLite, and tests of the file itself.

use std::future::{Ready, ready};
use std::sync::Arc;

use tempfile::TempDir;

use super::{DataFileLock, DataFileLocked, SqliteStore};
use crate::domain::{
    CodePurpose, ConversationId, DeskId, Draft, DraftKind, MessageBody, MessageId, PendingCode, PendingCodes, Seq,
    Side, Timestamp, UserId,
};
use crate::store::contract::store_contract;
use crate::store::{Appended, Stores};

mod migrations;

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

#[cfg(unix)]
#[test]
fn a_data_file_has_one_server_under_whatever_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (folder.path().join("deskline.db"), folder.path().join("elsewhere"));
    std::fs::create_dir(&elsewhere).unwrap();
    let _held = DataFileLock::take(&path).unwrap();
    let (symbolic, hard) = (elsewhere.join("symbolic.db"), elsewhere.join("hard.db"));
    std::os::unix::fs::symlink(&path, &symbolic).unwrap();
    std::fs::hard_link(&path, &hard).unwrap();
    for other in [symbolic, hard] {
        let taken = DataFileLock::take(&other);
        assert!(matches!(taken, Err(DataFileLocked::InUse(_))), "{}", other.display());
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deskline.db");
    drop(SqliteStore::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 999).unwrap();
    let refused = SqliteStore::open(&path).map(drop).unwrap_err().to_string();
    assert!(refused.contains("newer version"), "{refused}");
}

#[tokio::test]
async fn a_file_of_an_earlier_version_keeps_its_log_and_its_client_message_ids() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deskline.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(concat!(
        include_str!("../schema_1.sql"),
        include_str!("../schema_2.sql"),
        "PRAGMA user_version = 2;
         INSERT INTO conversations (id, uuid, customer, created_at, status, last_seq, updated_at, last_message_seq,
             last_message_side, last_message_body, last_message_at, customer_read, customer_unread, desk_read, desk_unread)
         VALUES (x'0a0a0a0a0a0a0a0a0a0a0a0a', randomblob(16), x'010101010101010101010101', 1, 'waiting', 1, 1, 1, 0, 'hi', 1,
             1, 0, 0, 1);
         INSERT INTO entries (conversation, seq, kind, author, side, at, message_id, client_id, body)
         VALUES (1, 1, 'message', x'010101010101010101010101', 0, 1, x'0b0b0b0b0b0b0b0b0b0b0b0b', 'm1', 'hi');"
    ))
    .unwrap();
    drop(raw);
    let store = SqliteStore::open(&path).unwrap();
    let (author, conversation) = (UserId::from_bytes([1; 12]), ConversationId::from_bytes([10; 12]));
    let kind = DraftKind::Message {
        id: MessageId::from_bytes([12; 12]),
        body: MessageBody::stored("again".into()),
        client_id: Some("m1".parse().unwrap()),
        extras: None,
    };
    let draft = Draft { conversation, author, side: Side::Customer, at: Timestamp::from_millis(5), kind };
    let again = store.stores().conversations.append(vec![draft]).await.remove(0).unwrap();
    let Appended::Already(first) = again else { panic!("it was stored before: {again:?}") };
    assert_eq!((first.seq, first.message().unwrap().original.as_str()), (Seq::new(1), "hi"));
}

#[tokio::test]
async fn the_single_code_of_an_earlier_version_is_still_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deskline.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(concat!(
        include_str!("../schema_1.sql"),
        include_str!("../schema_2.sql"),
        include_str!("../schema_3.sql"),
        include_str!("../schema_4.sql"),
        "PRAGMA user_version = 4;
         INSERT INTO users (id, name, role, status, code_purpose, code_digest, code_expires, code_failures, created_at,
             updated_at)
         VALUES (x'010101010101010101010101', 'Ann', 'admin', 'active', 'login', 'abc', 7, 3, 1, 1),
             (x'020202020202020202020202', 'Bob', 'user', 'active', NULL, NULL, NULL, NULL, 1, 1);"
    ))
    .unwrap();
    drop(raw);
    let users = SqliteStore::open(&path).unwrap().stores().users;
    let code = PendingCode { digest: "abc".into(), expires_at: Timestamp::from_millis(7), failures: 3 };
    for (n, expected) in [(1, PendingCodes::from([(CodePurpose::LogIn, code)])), (2, PendingCodes::new())] {
        assert_eq!(users.user(UserId::from_bytes([n; 12])).await.unwrap().unwrap().pending_codes, expected);
    }
}

#[tokio::test]
async fn a_file_of_an_earlier_version_pins_the_id_by_which_its_customers_know_the_desk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deskline.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(concat!(
        include_str!("../schema_1.sql"),
        include_str!("../schema_2.sql"),
        include_str!("../schema_3.sql"),
        include_str!("../schema_4.sql"),
        include_str!("../schema_5.sql"),
        "PRAGMA user_version = 5;
         INSERT INTO users (id, name, role, status, created_at, updated_at)
         VALUES (x'010101010101010101010101', 'Cid', 'agent', 'active', 1, 1),
             (x'020202020202020202020202', 'Dan', 'admin', 'Blocked', 1, 1),
             (x'030303030303030303030303', 'Ada', 'admin', 'active', 1, 1),
             (x'040404040404040404040404', 'Bea', 'admin', 'active', 1, 1);"
    ))
    .unwrap();
    drop(raw);
    let users = SqliteStore::open(&path).unwrap().stores().users;
    let ada = DeskId { user: UserId::from_bytes([3; 12]), number: 3 };
    assert_eq!(users.desk_ids().await.unwrap(), [ada]);
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
        "SELECT * FROM users WHERE session = 'x'",
        "SELECT * FROM users WHERE username = 'x'",
        "SELECT sum(desk_unread) FROM conversations WHERE peer IS NULL AND desk_unread > 0",
        "SELECT * FROM conversations c WHERE c.customer = x'00' AND c.peer IS NULL",
        "SELECT * FROM conversations c WHERE c.peer = x'00' AND c.customer <> x'00'",
        "SELECT * FROM entries e JOIN conversations c ON c.number = e.conversation
         WHERE e.conversation = 1 AND e.author = x'00' AND e.client_id = 'm1'",
        "SELECT * FROM entries e JOIN conversations c ON c.number = e.conversation
         WHERE c.id = x'00' AND e.seq > 1 ORDER BY e.seq LIMIT 10",
    ] {
        let mut explain = raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps: Vec<String> = explain.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        assert!(!steps.iter().any(|step| step.starts_with("SCAN") && !step.contains("USING")), "{sql}: {steps:?}");
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {steps:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_the_data_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deskline.db");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let store = SqliteStore::open(&data).unwrap();
    assert_eq!(mode(&data), 0o600);
    assert_eq!(mode(&folder.path().join("deskline.db-wal")), 0o600);
    drop(store);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _store = SqliteStore::open(&data).unwrap();
    assert_eq!(mode(&data), 0o640, "an earlier version let everybody read it");
}
