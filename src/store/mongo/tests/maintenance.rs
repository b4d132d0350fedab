//! Import, export and repairs.

use bson::{Document, doc};
use futures_util::TryStreamExt;

use super::faults::named;
use super::{Fresh, available, person, read, say, someone};
use crate::domain::{Draft, DraftKind, Side};
use crate::import::{End, compare, import};
use crate::store::{
    Appended, ConversationStore as _, Maintenance as _, OpenStore, StoreLocation, UserStore as _, maintenance_contract,
};
use crate::verify::{Repair, verify};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_file_is_imported() {
    if available() {
        let (fresh, folder) = (Fresh::open().await, tempfile::tempdir().unwrap());
        let file = StoreLocation::Sqlite(folder.path().join("deskline.db")).open().await.unwrap();
        let mongo = OpenStore::Mongo(fresh.store.clone());
        maintenance_contract::a_store_is_copied_into_another_and_works_there(&file, &mongo).await;
        fresh.store.flush().await.unwrap();
        assert_eq!(fresh.documents("messages").count_documents(Document::new()).await.unwrap(), 11);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_exported() {
    if available() {
        let (fresh, folder) = (Fresh::open().await, tempfile::tempdir().unwrap());
        let file = StoreLocation::Sqlite(folder.path().join("deskline.db")).open().await.unwrap();
        let mongo = OpenStore::Mongo(fresh.store.clone());
        maintenance_contract::a_store_is_copied_into_another_and_works_there(&mongo, &file).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_projections_are_found_and_repaired() {
    if available() {
        let fresh = Fresh::open().await;
        maintenance_contract::wrong_projections_are_found_and_repaired(&OpenStore::Mongo(fresh.store.clone())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_the_old_server_survive_the_way_through_a_data_file() {
    if !available() {
        return;
    }
    let (fresh, back, folder) = (Fresh::open().await, Fresh::open().await, tempfile::tempdir().unwrap());
    let account = doc! { "_id": person(1), "name": "Ann", "email": "ann@x.test", "googleId": "1122", "role": "user" };
    fresh.documents("users").insert_one(account).await.unwrap();
    let file = StoreLocation::Sqlite(folder.path().join("deskline.db")).open().await.unwrap();
    for (from, to) in [(&OpenStore::Mongo(fresh.store.clone()), &file), (&file, &OpenStore::Mongo(back.store.clone()))]
    {
        let (from, to) = (End::of(from).unwrap(), End::of(to).unwrap());
        import(&from, &to, None, |_| ()).await.unwrap();
        compare(&from, &to, |_| ()).await.unwrap();
    }
    let moved = back.documents("users").find_one(doc! { "_id": person(1) }).await.unwrap().unwrap();
    assert_eq!((moved.get_str("googleId").unwrap(), moved.get_str("email").unwrap()), ("1122", "ann@x.test"));
    let again = back.store.user(someone(1)).await.unwrap();
    assert_eq!(again, fresh.store.user(someone(1)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repairs_beside_a_running_server_are_not_undone() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let running = fresh.another().await;
    let conversation = fresh.support(1).await;
    let hello = || say(&conversation, 1, Side::Customer, "hello");
    fresh.store.append(vec![hello()]).await.remove(0).unwrap();
    let right = fresh.store.summary(conversation.id).await.unwrap().unwrap();
    let mut wrong = right.clone();
    wrong.sides[Side::Desk.index()].unread = 40;
    assert!(fresh.store.repair(&right, &wrong).await.unwrap());
    running.append(vec![hello()]).await.remove(0).unwrap();
    let (found, repaired, left) = findings(&fresh, Repair::WhatFollows).await;
    assert_eq!((found.len(), repaired, left), (1, 1, 0), "{found:?}");
    for unread in 3..5 {
        running.append(vec![hello()]).await.remove(0).unwrap();
        running.flush().await.unwrap();
        assert_eq!(findings(&fresh, Repair::No).await, (vec![], 0, 0));
        let summary = fresh.store.summary(conversation.id).await.unwrap().unwrap();
        assert_eq!(summary.side(Side::Desk).unread, unread);
    }
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_copy_at_once_and_deleted_messages_do_not_reappear() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let other = fresh.another().await;
    let conversation = fresh.support(1).await;
    let hello = say(&conversation, 1, Side::Customer, "hello");
    let Appended::New(entry) = other.append(vec![hello]).await.remove(0).unwrap() else { panic!("it is new") };
    other.flush().await.unwrap();
    // One process has read the message and is slow to copy it; another one copies everything meanwhile.
    fresh.documents("conversations").update_one(doc! {}, doc! { "$set": { "mirrored": 0_i64 } }).await.unwrap();
    let slow = fresh.store.shared.read_pages(&[conversation.id]).await.unwrap();
    let delete = DraftKind::Delete { target: entry.as_target().unwrap() };
    let delete = Draft { kind: delete, ..read(&conversation, 9, Side::Desk, 0) };
    other.append(vec![delete]).await.remove(0).unwrap();
    other.flush().await.unwrap();
    fresh.store.shared.write_pages(&slow).await.unwrap();
    assert_eq!(dump(&fresh.documents("messages")).await, []);
    assert_eq!(findings(&fresh, Repair::No).await, (vec![], 0, 0));
    other.close().await;
}

async fn dump(copies: &mongodb::Collection<Document>) -> Vec<Document> {
    copies.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap().try_collect().await.unwrap()
}

async fn findings(fresh: &Fresh, repair: Repair) -> (Vec<String>, u64, u64) {
    let mut findings = Vec::new();
    let tell = |finding: &crate::verify::Finding| findings.push(finding.difference.clone());
    let report = verify(&*fresh.store, &*fresh.store, repair, tell, |_| ()).await.unwrap();
    (findings.iter().map(|found| format!("{found:?}")).collect(), report.repaired, report.left)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_copies_are_found_and_repaired() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let conversation = fresh.support(1).await;
    for n in 1..=5 {
        let draft = named(say(&conversation, 1, Side::Customer, &format!("message {n}")), &format!("m{n}"));
        fresh.store.append(vec![draft]).await.remove(0).unwrap();
    }
    fresh.store.append(vec![read(&conversation, 9, Side::Desk, 4)]).await.remove(0).unwrap();
    assert_eq!(findings(&fresh, Repair::No).await, (vec![], 0, 0));
    let copies = fresh.documents("messages");
    let before: Vec<Document> = dump(&copies).await;
    // As a tool does that takes the collection for that of the old server.
    copies.delete_one(doc! { "message": "message 2" }).await.unwrap();
    for (message, change) in [
        ("message 3", doc! { "$set": { "message": "something else" } }),
        ("message 4", doc! { "$set": { "read": false }, "$unset": { "seq": "" } }),
        // Read on the old server, which the log does not know.
        ("message 5", doc! { "$set": { "read": true } }),
    ] {
        copies.update_one(doc! { "message": message }, change).await.unwrap();
    }
    let expected = vec!["Copies { count: 3, first: Seq(2) }".to_owned()];
    assert_eq!(findings(&fresh, Repair::No).await, (expected.clone(), 0, 1));
    assert_eq!(findings(&fresh, Repair::WhatFollows).await, (expected, 1, 0));
    assert_eq!(findings(&fresh, Repair::No).await, (vec![], 0, 0));
    copies.update_one(doc! { "message": "message 5" }, doc! { "$set": { "read": false } }).await.unwrap();
    let mended = dump(&copies).await;
    for (mended, before) in mended.iter().zip(&before) {
        for (field, value) in before.iter().filter(|(field, _)| *field != "updatedAt") {
            assert_eq!(mended.get(field), Some(value), "{field} of {mended}");
        }
    }
    assert_eq!(mended.len(), before.len());
}
