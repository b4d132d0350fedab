//! Messages that violate the old server's schema, among valid ones.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use futures_util::FutureExt as _;

use super::{Fresh, available, person};
use crate::domain::{Entry, Members, MessageBody, Seq, UserId};
use crate::store::{ConversationStore as _, ListFor, Maintenance as _, MalformedRecord};
use crate::verify::{Repair, verify};

fn message(n: u8, from: u8, to: u8, text: impl Into<Bson>) -> Document {
    doc! {
        "_id": ObjectId::from_bytes([n; 12]), "sender": person(from), "receiver": person(to), "message": text.into(),
        "read": false, "createdAt": DateTime::from_millis(1_795_249_336_000 + i64::from(n)),
    }
}

fn with(mut message: Document, field: &str, value: impl Into<Bson>) -> Document {
    message.insert(field, value.into());
    message
}

async fn people(fresh: &Fresh) {
    let account =
        |n: u8, role: &str| doc! { "_id": person(n), "name": "N", "email": format!("p{n}@x.test"), "role": role };
    fresh.documents("users").insert_many([account(1, "user"), account(9, "admin")]).await.unwrap();
}

async fn texts(fresh: &Fresh, members: Members) -> Vec<String> {
    let Some(conversation) = fresh.store.find(members).await.unwrap() else { return Vec::new() };
    let log = fresh.store.entries_after(conversation.id, Seq::ZERO, 100).await.unwrap();
    let text = |entry: &Entry| {
        Some(entry.message()?.text().map_or_else(String::new, |text: &MessageBody| text.as_str().into()))
    };
    log.iter().filter_map(text).collect()
}

async fn odd(fresh: &Fresh) -> Vec<(&'static str, String, Vec<&'static str>)> {
    let mut odd = Vec::new();
    fresh
        .store
        .malformed_records(&mut |MalformedRecord { collection, id, fields }| odd.push((collection, id, fields)))
        .await
        .unwrap();
    odd.sort();
    odd
}

const ANN: Members = Members::Support { customer: UserId::from_bytes([1; 12]) };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_message_is_imported_as_far_as_possible_and_delays_no_other() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    people(&fresh).await;
    let messages = fresh.documents("messages");
    messages
        .insert_many([
            with(message(20, 1, 9, "by text id"), "_id", "m1"),
            with(message(21, 1, 9, "no sender"), "sender", "ann"),
            with(message(22, 1, 9, "no text"), "message", Bson::Null),
            message(23, 1, 9, "one"),
            with(message(24, 1, 9, "two"), "createdAt", "2026-11-20T08:00:00.000Z"),
            message(25, 1, 9, 42),
            message(26, 7, 9, "from nobody known"),
            message(27, 9, 1, "three"),
        ])
        .await
        .unwrap();
    let taken = fresh.store.migrate(&|_, _| ()).await.unwrap();
    assert_eq!(taken, 8);
    let mut said = texts(&fresh, ANN).await;
    said.sort();
    assert_eq!(said, ["42", "one", "three", "two"]);
    let stranger = Members::Support { customer: UserId::from_bytes([7; 12]) };
    assert_eq!(texts(&fresh, stranger).await, ["from nobody known"]);
    let listed = fresh.store.list(ListFor::Agent(UserId::from_bytes([9; 12])), 10).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(fresh.store.migrate(&|_, _| ()).await.unwrap(), 0, "no document is read again");

    // The old server writes these while both run.
    messages.insert_many([with(message(30, 1, 9, "x"), "_id", 7), message(31, 1, 9, "later")]).await.unwrap();
    let append = |drafts| fresh.store.append(drafts).boxed();
    fresh.store.pick_up(&append).await.unwrap();
    assert!(texts(&fresh, ANN).await.contains(&"later".to_owned()));
    assert_eq!(
        odd(&fresh).await,
        [
            ("messages", "\"m1\"".to_owned(), vec!["_id"]),
            ("messages", ObjectId::from_bytes([21; 12]).to_hex(), vec!["sender"]),
            ("messages", ObjectId::from_bytes([22; 12]).to_hex(), vec!["message"]),
            ("messages", "7".to_owned(), vec!["_id"]),
        ]
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
    fresh.store.flush().await.unwrap();
    let report = verify(&*fresh.store, &*fresh.store, Repair::No, |finding| panic!("{finding}"), |_| ()).await.unwrap();
    assert_eq!(report.left, 0, "the copies agree with the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_accounts_are_listed_by_their_ids() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    people(&fresh).await;
    let account =
        |id: Bson, email: &str| doc! { "_id": id, "name": "N", "email": email, "role": "user", "status": "active" };
    let accounts = [
        account("ann".into(), "a@x.test"),
        with(with(account(person(3).into(), "b@x.test"), "role", "moderator"), "name", 7),
        account(person(4).into(), "c@x.test"),
    ];
    fresh.documents("users").insert_many(accounts).await.unwrap();
    assert_eq!(
        odd(&fresh).await,
        [("users", "\"ann\"".to_owned(), vec![]), ("users", person(3).to_hex(), vec!["name", "role"])]
    );
}
