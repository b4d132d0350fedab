//! Crashes between two writes, and two processes on one database.

use std::collections::BTreeSet;

use bson::{Bson, DateTime, doc};

use super::{Fresh, START, available, later, read, say, someone};
use crate::domain::{ClientMessageId, Draft, DraftKind, Entry, Seq, Side, Status};
use crate::store::mongo::documents::{ENTRIES, EntryDocument, object_id};
use crate::store::{Appended, ConversationStore as _, ListFor, StoreError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_append_to_one_conversation_without_gaps_or_duplicates() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let other = fresh.another().await;
    let conversation = fresh.support(1).await;
    let tasks: Vec<_> = (0..200)
        .map(|i| {
            let store = if i % 2 == 0 { fresh.store.clone() } else { other.clone() };
            let draft = say(&conversation, 1, Side::Customer, &format!("message {i}"));
            tokio::spawn(async move { store.append(vec![draft]).await.remove(0).unwrap() })
        })
        .collect();
    let mut seqs = BTreeSet::new();
    for task in tasks {
        let Appended::New(entry) = task.await.unwrap() else { panic!("nothing was sent twice") };
        assert!(seqs.insert(entry.seq.get()), "a seq was assigned twice");
    }
    assert_eq!(seqs, (1..=200).collect());
    let log = other.entries_after(conversation.id, Seq::ZERO, 1000).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    let numbers: BTreeSet<_> = log.iter().filter_map(Entry::message).map(|message| message.number).collect();
    assert_eq!(numbers.len(), 200, "a number was assigned twice");
    let summary = fresh.store.summary(conversation.id).await.unwrap().unwrap();
    assert_eq!((summary.last_seq.get(), summary.side(Side::Desk).unread), (200, 200));
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_marks_messages_of_another_process_as_read() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let other = fresh.another().await;
    let conversation = fresh.support(1).await;
    for said in 1..4 {
        fresh.store.append(vec![say(&conversation, 1, Side::Customer, "hello")]).await.remove(0).unwrap();
        let mark = read(&conversation, 9, Side::Desk, 100);
        let marked = other.append(vec![mark]).await.remove(0).unwrap();
        assert!(matches!(marked, Appended::New(_)), "message {said} stays unread");
        let summary = fresh.store.summary(conversation.id).await.unwrap().unwrap();
        assert_eq!(summary.side(Side::Desk).unread, 0);
    }
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_message_id_sent_to_two_processes_is_one_message() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let other = fresh.another().await;
    let conversation = fresh.support(1).await;
    let tasks: Vec<_> = (0..40)
        .map(|i| {
            let store = if i % 2 == 0 { fresh.store.clone() } else { other.clone() };
            let draft = named(say(&conversation, 1, Side::Customer, "once"), &format!("m{}", i / 4));
            tokio::spawn(async move { store.append(vec![draft]).await.remove(0).unwrap() })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += usize::from(matches!(task.await.unwrap(), Appended::New(_)));
    }
    let log = fresh.store.entries_after(conversation.id, Seq::ZERO, 1000).await.unwrap();
    assert_eq!((new, log.len(), log.last().unwrap().seq.get()), (10, 10, 10));
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_in_the_middle_of_a_batch_leaves_no_gap() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let conversation = fresh.support(1).await;
    let message = |text, id| named(say(&conversation, 1, Side::Customer, text), id);
    fresh.store.append(vec![message("one", "m1")]).await.remove(0).unwrap();
    let batch = vec![message("two", "m2"), message("one", "m1"), message("three", "m3"), message("three", "m3")];
    let answers: Vec<_> = fresh.store.append(batch).await.into_iter().map(Result::unwrap).collect();
    let seqs: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Appended::New(entry) => ("new", entry.seq.get()),
            Appended::Already(entry) => ("already", entry.seq.get()),
            Appended::Unchanged { .. } => ("unchanged", 0),
        })
        .collect();
    assert_eq!(seqs, [("new", 2), ("already", 1), ("new", 3), ("already", 3)]);
}

/// Inserts entries into the log like a process that dies before it can update the projections.
async fn crash_after(fresh: &Fresh, entries: &[Entry]) {
    let documents: Vec<EntryDocument> = entries.iter().map(EntryDocument::from).collect();
    fresh.raw.collection(ENTRIES).insert_many(documents).await.unwrap();
}

/// Ann sends two messages and the desk reads the first one, after which the process dies.
async fn crashed() -> (Fresh, crate::domain::Conversation) {
    let fresh = Fresh::open().await;
    let conversation = fresh.support(1).await;
    let scratch = Fresh::open().await;
    let twin = scratch.support(1).await;
    for draft in
        [say(&twin, 1, Side::Customer, "one"), say(&twin, 1, Side::Customer, "two"), read(&twin, 9, Side::Desk, 1)]
    {
        scratch.store.append(vec![draft]).await.remove(0).unwrap();
    }
    let log = scratch.store.entries_after(twin.id, Seq::ZERO, 10).await.unwrap();
    let log: Vec<_> = log.into_iter().map(|entry| Entry { conversation: conversation.id, ..entry }).collect();
    crash_after(&fresh, &log).await;
    (fresh, conversation)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_a_summary_repairs_it_after_a_crash() {
    if !available() {
        return;
    }
    let (fresh, conversation) = crashed().await;
    let agent = ListFor::Agent(someone(9));
    assert!(fresh.store.list(agent, 10).await.unwrap().is_empty(), "the projections are behind the log");
    let summary = fresh.store.summary(conversation.id).await.unwrap().unwrap();
    assert_eq!((summary.last_seq.get(), summary.status), (3, Status::Waiting));
    assert_eq!((summary.side(Side::Desk).read.get(), summary.side(Side::Desk).unread), (1, 1));
    assert_eq!(fresh.store.list(agent, 10).await.unwrap(), [summary], "and it is stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_append_repairs_the_state_after_a_crash() {
    if !available() {
        return;
    }
    let (fresh, conversation) = crashed().await;
    let appended = fresh.store.append(vec![say(&conversation, 1, Side::Customer, "three")]).await.remove(0).unwrap();
    assert!(matches!(appended, Appended::New(entry) if entry.seq == Seq::new(4)));
    assert_eq!(fresh.store.unread(ListFor::Agent(someone(9))).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_repairs_the_state_and_the_copy_after_a_crash() {
    if !available() {
        return;
    }
    let (fresh, conversation) = crashed().await;
    let next = fresh.another().await;
    next.flush().await.unwrap();
    assert_eq!(next.unread(ListFor::Agent(someone(9))).await.unwrap(), 1);
    let copies = fresh.documents("messages");
    let of_it = doc! { "conversation": object_id(conversation.id.bytes()) };
    assert_eq!(copies.count_documents(of_it).await.unwrap(), 2);
    assert_eq!(copies.count_documents(doc! { "read": true }).await.unwrap(), 1);
    next.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_at_once_after_a_crash_has_missed_all_of_the_log() {
    if !available() {
        return;
    }
    let (fresh, conversation) = crashed().await;
    let next = fresh.another().await;
    let missed = next.missed(ListFor::Agent(someone(9)), 10).await.unwrap();
    let missed: Vec<_> = missed.iter().map(|missed| (missed.conversation.id, missed.last_seq.get())).collect();
    assert_eq!(missed, [(conversation.id, 3)]);
    next.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outdated_state_in_an_idle_process_is_detected_by_its_next_append() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let other = fresh.another().await;
    let conversation = fresh.support(1).await;
    for (store, text) in [(&fresh.store, "one"), (&other, "two"), (&fresh.store, "three"), (&other, "four")] {
        store.append(vec![say(&conversation, 1, Side::Customer, text)]).await.remove(0).unwrap();
    }
    let mark = other.append(vec![read(&conversation, 9, Side::Desk, 3)]).await.remove(0).unwrap();
    assert!(matches!(mark, Appended::New(_)));
    let late = Draft { at: later(-60), ..say(&conversation, 1, Side::Customer, "five") };
    let Appended::New(late) = fresh.store.append(vec![late]).await.remove(0).unwrap() else { panic!("it is new") };
    assert_eq!((late.seq.get(), late.at), (6, START), "timestamps never run backwards, whichever process wrote before");
    let summary = other.summary(conversation.id).await.unwrap().unwrap();
    assert_eq!((summary.side(Side::Desk).unread, summary.side(Side::Desk).read.get()), (2, 3));
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_copy_has_the_old_shape_with_additional_fields() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let conversation = fresh.support(1).await;
    let draft = named(say(&conversation, 1, Side::Customer, "hello"), "m1");
    let DraftKind::Message { id, .. } = &draft.kind else { panic!("it is a message") };
    let id = object_id(id.bytes());
    fresh.store.append(vec![draft]).await.remove(0).unwrap();
    fresh.store.flush().await.unwrap();
    let copies = fresh.documents("messages");
    let mut copy = copies.find_one(doc! { "_id": id }).await.unwrap().unwrap();
    assert!(copy.remove("number").is_some());
    let at = DateTime::from_millis(START.millis());
    let expected = doc! {
        "_id": id, "sender": super::person(1), "receiver": super::person(0), "message": "hello", "read": false,
        "createdAt": at, "updatedAt": at, "__v": 0,
        "conversation": object_id(conversation.id.bytes()), "seq": 1_i64, "side": 0, "clientMessageId": "m1",
    };
    assert_eq!(sorted(&copy), sorted(&expected));
    fresh.store.append(vec![read(&conversation, 9, Side::Desk, 1)]).await.remove(0).unwrap();
    fresh.store.flush().await.unwrap();
    assert!(copies.find_one(doc! { "_id": id }).await.unwrap().unwrap().get_bool("read").unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_server_is_reported_within_the_deadline() {
    let uri = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=300";
    let refused = super::MongoStore::open(uri, "nothing").await.map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
}

pub(super) fn named(mut draft: Draft, name: &str) -> Draft {
    if let DraftKind::Message { client_id, .. } = &mut draft.kind {
        *client_id = Some(name.parse::<ClientMessageId>().unwrap());
    }
    draft
}

fn sorted(document: &bson::Document) -> Vec<(String, Bson)> {
    let mut fields: Vec<_> = document.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}
