//! Edits and deletions: crashes between their writes, and the copy in the old shape.

use std::sync::Arc;

use bson::{Document, doc};
use parking_lot::Mutex;

use super::{Fresh, available, killed_at, say, someone};
use crate::domain::{Conversation, Draft, DraftKind, Entry, MessageBody, Seq, Side};
use crate::store::mongo::MongoStore;
use crate::store::mongo::documents::object_id;
use crate::store::{Appended, ConversationStore as _, OpenStore};
use crate::verify::{Finding, Repair, verify};

fn edit(said: &Entry, text: &str) -> Draft {
    let kind = DraftKind::Edit { target: said.as_target().unwrap(), body: MessageBody::stored(text.into()) };
    Draft { conversation: said.conversation, author: said.author, side: said.side, at: said.at, kind }
}

fn delete(said: &Entry) -> Draft {
    Draft { kind: DraftKind::Delete { target: said.as_target().unwrap() }, ..edit(said, "") }
}

async fn say_all(store: &MongoStore, conversation: &Conversation, texts: &[&str]) -> Vec<Entry> {
    let mut said = Vec::new();
    for text in texts {
        let answer = store.append(vec![say(conversation, 1, Side::Customer, text)]).await.remove(0).unwrap();
        let Appended::New(entry) = answer else { panic!("it is new") };
        said.push(entry);
    }
    said
}

async fn assert_sound(store: &Arc<MongoStore>) {
    let mut findings = Vec::new();
    let tell = |finding: &Finding| findings.push(finding.to_string());
    let open = OpenStore::Mongo(store.clone());
    let maintenance = open.maintenance().unwrap();
    verify(&*open.stores().conversations, &*maintenance, Repair::No, tell, |_| ()).await.unwrap();
    assert_eq!(findings, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_while_it_edits_and_deletes_leaves_a_consistent_state() {
    if !available() {
        return;
    }
    let mut done_by_the_dead = 0;
    for fatal in 24..52 {
        let fresh = Fresh::open().await;
        let conversation = fresh.support(1).await;
        let said = say_all(&fresh.store, &conversation, &["one", "two", "three"]).await;
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let (heard, drafts) = (
            acknowledged.clone(),
            vec![
                edit(&said[0], "uno"),
                delete(&said[2]),
                edit(&said[0], "eins"),
                edit(&said[1], "zwei"),
                delete(&said[1]),
            ],
        );
        killed_at(fresh.raw.name(), fatal, async move |store| {
            for draft in drafts {
                if let Ok(Appended::New(entry)) = store.append(vec![draft]).await.remove(0) {
                    heard.lock().push(entry);
                }
            }
        })
        .await;
        let next = fresh.another().await;
        let log = next.entries_after(conversation.id, Seq::ZERO, 100).await.unwrap();
        // The last command of the dead process may be executed only now.
        let summary = next.summary(conversation.id).await.unwrap().unwrap();
        assert!(summary.last_seq >= log.last().unwrap().seq);
        for entry in acknowledged.lock().iter() {
            assert!(log.contains(entry), "{entry:?} was acknowledged and lost");
        }
        assert_sound(&next).await;
        done_by_the_dead += log.len() - said.len();
        next.close().await;
    }
    assert!((10..140).contains(&done_by_the_dead), "they died in the middle: {done_by_the_dead}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_copy_has_edited_texts_and_no_deleted_messages() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let conversation = fresh.support(1).await;
    let said = say_all(&fresh.store, &conversation, &["one", "two", "three"]).await;
    fresh.store.flush().await.unwrap();
    let copies = fresh.documents("messages");
    let texts = async || {
        let mut texts = Vec::new();
        for entry in &said {
            let id = object_id(entry.message().unwrap().id.bytes());
            let copy: Option<Document> = copies.find_one(doc! { "_id": id }).await.unwrap();
            texts.push(copy.map(|copy| copy.get_str("message").unwrap().to_owned()));
        }
        texts
    };
    let expected = [Some("uno".to_owned()), None, Some("three".to_owned())];
    for draft in [edit(&said[0], "uno"), Draft { author: someone(9), side: Side::Desk, ..delete(&said[1]) }] {
        fresh.store.append(vec![draft]).await.remove(0).unwrap();
    }
    fresh.store.flush().await.unwrap();
    assert_eq!(texts().await, expected);

    // Copied again from the beginning, as after a crash.
    let from_the_beginning = doc! { "$set": { "mirrored": 0_i64 } };
    fresh.documents("conversations").update_one(doc! {}, from_the_beginning).await.unwrap();
    let next = fresh.another().await;
    next.flush().await.unwrap();
    assert_eq!(texts().await, expected, "deleted messages do not reappear");
    next.close().await;
}
