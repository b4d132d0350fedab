//! Files of every earlier schema, migrated at once or after the process was killed in the middle.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::super::schema::{STEPS, migrate};
use crate::domain::{Attachment, Entry, Message, NameParts, Profile, Seq, Timestamp, UserId};
use crate::store::sqlite::SqliteStore;
use crate::store::{MAX_PAGE, Maintenance as _, UserKey};

/// For each schema, SQL that inserts what files of that schema can contain.
const ROWS: [&str; 13] = [
    // A customer, an admin and a visitor; two conversations with messages, read marks and a status.
    "INSERT INTO users (id, name, email, password_hash, role, status, created_at, updated_at) VALUES
         (x'010101010101010101010101', 'Ann Lee', 'ann@x.test', 'hash', 'user', 'active', 1, 2),
         (x'090909090909090909090909', 'Ada', 'ada@x.test', 'hash', 'admin', 'active', 3, 4),
         (x'020202020202020202020202', 'Anonymous', NULL, NULL, 'user', 'active', 5, 6);
     UPDATE users SET code_purpose = 'login', code_digest = 'abc', code_expires = 7, code_failures = 3 WHERE number = 2;
     INSERT INTO conversations (id, uuid, customer, created_at, status, last_seq, updated_at, last_message_seq, last_message_side,
         last_message_body, last_message_at, customer_read, customer_unread, desk_read, desk_unread) VALUES
         (x'0a0a0a0a0a0a0a0a0a0a0a0a', x'0000000000000000000000000000000a', x'010101010101010101010101', 1, 'waiting', 4, 40, 3, 0,
             'three', 30, 0, 1, 2, 1),
         (x'0b0b0b0b0b0b0b0b0b0b0b0b', x'0000000000000000000000000000000b', x'020202020202020202020202', 2, 'waiting', 1, 50, 1, 0,
             'bob', 50, 0, 0, 0, 1);
     INSERT INTO entries (conversation, seq, kind, author, side, at, message_id, client_id, body, up_to) VALUES
         (1, 1, 'message', x'010101010101010101010101', 0, 10, x'010203040000000000000001', 'm1', 'one', NULL),
         (1, 2, 'message', x'090909090909090909090909', 1, 20, x'010203040000000000000002', NULL, 'two', NULL),
         (1, 3, 'message', x'010101010101010101010101', 0, 30, x'010203050000000000000003', 'm3', 'three', NULL),
         (1, 4, 'read', x'090909090909090909090909', 1, 40, NULL, NULL, NULL, 2),
         (2, 1, 'message', x'020202020202020202020202', 0, 50, x'010203060000000000000004', 'm1', 'bob', NULL);
     INSERT INTO delivered (user, conversation, up_to) VALUES (x'010101010101010101010101', 1, 3);",
    // A message with a file, a reply, and extras of a message that was never stored; two profiles, and one of a deleted
    // account.
    "INSERT INTO profiles (user, username, contact_email, phone, session) VALUES
         (x'010101010101010101010101', 'annie', '', '+49 1', NULL),
         (x'020202020202020202020202', NULL, 'bob@x.test', '', 'digest'),
         (x'0f0f0f0f0f0f0f0f0f0f0f0f', 'deleted', '', '', NULL);
     INSERT INTO message_extras (message, reply_to, file, name, media_type, size) VALUES
         (x'010203040000000000000002', 1, NULL, NULL, NULL, NULL),
         (x'010203050000000000000003', NULL, 'f', 'a b.txt', 'text/plain', 9),
         (x'0102030500000000000000ff', NULL, 'lost', 'lost.txt', 'text/plain', 99);",
    "UPDATE profiles SET birth_date = '1990-02-28' WHERE username = 'annie';
     UPDATE users SET google_id = '1122' WHERE number = 1;
     INSERT INTO entries (conversation, seq, kind, author, side, at, body, target)
         VALUES (1, 5, 'edit', x'010101010101010101010101', 0, 60, 'drei', 3);
     UPDATE entries SET revision = 5 WHERE number = 3;
     UPDATE conversations SET last_seq = 5, updated_at = 60, last_message_body = 'drei' WHERE number = 1;",
    "UPDATE conversations SET customer_sent = 2, customer_delivered = 1 WHERE number = 1;",
    "",
    "",
    "UPDATE users SET sessions = '{\"validFrom\":8,\"ended\":{\"000000000000000000000000000000ff\":9}}' WHERE number = 1;",
    "",
    "UPDATE profiles SET first_name = 'Ann', last_name = 'Lee' WHERE username = 'annie';",
    "INSERT INTO bans (who, until) VALUES ('192.0.2.0/24', 4102444800000);",
    "UPDATE message_extras SET author = x'010101010101010101010101' WHERE size IS NOT NULL;",
    "",
    "",
];

/// A file of this schema, with rows that such files can contain.
fn file_of(schema: usize, folder: &Path) -> PathBuf {
    let path = folder.join("deskline.db");
    let file = super::super::connect(&path).unwrap();
    for (step, rows) in STEPS.iter().zip(ROWS).take(schema) {
        file.execute_batch(step).unwrap();
        file.execute_batch(rows).unwrap();
    }
    file.pragma_update(None, "user_version", schema).unwrap();
    path
}

/// Everything that the store can read from a file, as text.
async fn contents(path: &Path) -> Vec<String> {
    let store = SqliteStore::open(path).unwrap();
    let (stores, maintenance) = (store.stores(), store.maintenance().unwrap());
    let mut all = vec![format!("{:?}", stores.users.desk_ids().await.unwrap())];
    all.push(format!("{:?}", stores.bans.bans(Timestamp::from_millis(1)).await.unwrap()));
    for user in maintenance.users_after(None, MAX_PAGE).await.unwrap() {
        all.push(format!("{user:?} {:?}", maintenance.google_ids(&[user.id]).await.unwrap()));
        all.push(format!("{:?}", maintenance.delivered_after(user.id, None, MAX_PAGE).await.unwrap()));
        all.push(format!("{}", stores.conversations.stored_by(user.id).await.unwrap()));
    }
    for summary in maintenance.conversations_after(None, MAX_PAGE).await.unwrap() {
        let id = summary.conversation.id;
        all.push(format!("{summary:?} {:?}", stores.conversations.receipts(id).await.unwrap()));
        all.push(format!("{:?}", stores.conversations.entries_after(id, Seq::ZERO, MAX_PAGE).await.unwrap()));
    }
    all
}

/// A copy of the files as they are on disk at this moment, which is what a killed process leaves.
fn as_killed(path: &Path, folder: &Path) -> PathBuf {
    for file in std::fs::read_dir(path.parent().unwrap()).unwrap().map(|file| file.unwrap().path()) {
        std::fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
    folder.join(path.file_name().unwrap())
}

#[tokio::test]
async fn a_file_of_each_earlier_schema_keeps_its_contents_also_if_a_migration_is_killed() {
    for schema in 1..STEPS.len() {
        let original = tempfile::tempdir().unwrap();
        let path = file_of(schema, original.path());
        let undisturbed = tempfile::tempdir().unwrap();
        let expected = contents(&as_killed(&path, undisturbed.path())).await;
        for killed_after in schema + 1..=STEPS.len() {
            let (running, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let process = Connection::open(as_killed(&path, running.path())).unwrap();
            // With a tiny cache, pages of the open transaction are written to disk.
            process.execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE").unwrap();
            for step in &STEPS[schema..killed_after] {
                process.execute_batch(step).unwrap();
            }
            process.pragma_update(None, "user_version", killed_after).unwrap();
            let left = as_killed(&running.path().join("deskline.db"), left.path());
            drop(process);
            assert_eq!(contents(&left).await, expected, "schema {schema}, killed after step {killed_after}");
            assert_eq!(contents(&left).await, expected, "opened again");
        }
    }
}

#[tokio::test]
async fn rows_of_earlier_schemas_are_moved_to_their_new_tables() {
    for schema in 2..STEPS.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_of(schema, folder.path());
        let store = SqliteStore::open(&path).unwrap();
        let stores = store.stores();
        let found = stores.conversations.messages_by_number(&[1, 2, 3]).await.unwrap();
        let messages: HashMap<u64, &Message> =
            found.iter().filter_map(Entry::message).map(|it| (it.number, it)).collect();
        let file = Attachment { file: "f".into(), name: "a b.txt".into(), media_type: "text/plain".into(), size: 9 };
        assert_eq!(messages[&1].extras, None);
        assert_eq!((messages[&2].reply_to(), messages[&2].attachment()), (Some(1), None));
        assert_eq!((messages[&3].reply_to(), messages[&3].attachment()), (None, Some(&file)));
        for (n, stored) in [(1, 9), (9, 0), (2, 0)] {
            assert_eq!(stores.conversations.stored_by(UserId::from_bytes([n; 12])).await.unwrap(), stored, "{n}");
        }
        let ann = stores.users.find_user(UserKey::Username("annie")).await.unwrap().unwrap();
        let bob = stores.users.find_user(UserKey::Session("digest")).await.unwrap().unwrap();
        let expected = Profile {
            username: Some("annie".into()),
            name_parts: (schema >= 9).then(|| NameParts::new("Ann", "Lee")),
            phone: "+49 1".into(),
            birth_date: (schema >= 3).then(|| "1990-02-28".parse().unwrap()),
            ..Profile::default()
        };
        assert_eq!((ann.number, &ann.profile), (1, &expected), "schema {schema}");
        let expected =
            Profile { contact_email: "bob@x.test".into(), session: Some("digest".into()), ..Profile::default() };
        assert_eq!((bob.number, &bob.profile), (3, &expected), "schema {schema}");
        let ada = stores.users.find_user(UserKey::Number(2)).await.unwrap().unwrap();
        assert_eq!(ada.profile, Profile::default());
        assert_eq!(stores.users.find_user(UserKey::Username("deleted")).await.unwrap(), None);
    }
}

#[test]
fn a_failed_migration_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_of(2, folder.path());
    let mut file = Connection::open(&path).unwrap();
    // A step long after the first one fails.
    file.execute_batch("CREATE TABLE bans (mine INTEGER)").unwrap();
    assert!(migrate(&mut file).is_err());
    let version: usize = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
    file.execute_batch("DROP TABLE bans").unwrap();
    migrate(&mut file).unwrap();
}
