//! Databases of earlier versions, whose documents are moved to where they belong now.

use bson::oid::ObjectId;
use bson::{Document, doc};

use super::{Fresh, available, killed_at, open_on, say, someone};
use crate::domain::{Attachment, Entry, Message, MessageExtras, Seq, Side};
use crate::store::mongo::documents::object_id;
use crate::store::{Appended, ConversationStore as _};

/// Commands that a start sends at most.
const COMMANDS: u32 = 60;

fn file() -> Attachment {
    Attachment { file: "f".into(), name: "a b.txt".into(), media_type: "text/plain".into(), size: 9 }
}

fn superseded(message: ObjectId, reply_to: Option<i64>, attachment: Option<Document>) -> Document {
    doc! { "_id": message, "author": object_id(someone(1).bytes()), "replyTo": reply_to, "attachment": attachment }
}

/// Leaves the database as version 0.2 would have. Gives the log as it is to be read then.
async fn make_old(fresh: &Fresh) -> Vec<Entry> {
    let conversation = fresh.support(1).await;
    let mut expected = Vec::new();
    for (text, reply_to, attachment) in [("plain", None, None), ("answer", Some(1), None), ("file", None, Some(file()))]
    {
        let appended = fresh.store.append(vec![say(&conversation, 1, Side::Customer, text)]).await.remove(0).unwrap();
        let Appended::New(mut entry) = appended else { panic!("it is new") };
        if let crate::domain::EntryKind::Message(message) = &mut entry.kind {
            message.extras = MessageExtras { reply_to, attachment: attachment.clone() }.boxed();
            let attachment =
                attachment.map(|_| doc! { "file": "f", "name": "a b.txt", "mediaType": "text/plain", "size": 9_i64 });
            if message.extras.is_some() {
                let reply_to = reply_to.map(|number| i64::try_from(number).unwrap());
                let document = superseded(object_id(message.id.bytes()), reply_to, attachment);
                fresh.documents("messageExtras").insert_one(document).await.unwrap();
            }
        }
        expected.push(entry);
    }
    // Of a message that was never stored.
    let lost = superseded(ObjectId::new(), Some(1), None);
    fresh.documents("messageExtras").insert_one(lost).await.unwrap();
    fresh.store.flush().await.unwrap();
    expected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_version_kept_apart_is_moved_however_often_that_is_killed() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let expected = make_old(&fresh).await;
    let apart = fresh.documents("messageExtras");
    let before: Vec<Document> =
        futures_util::TryStreamExt::try_collect(apart.find(doc! {}).await.unwrap()).await.unwrap();
    for fatal in 1..=COMMANDS {
        // As it was, whatever the last start has moved, but not what it has written already.
        for document in &before {
            let one = doc! { "_id": document.get_object_id("_id").unwrap() };
            apart.replace_one(one, document).upsert(true).await.unwrap();
        }
        killed_at(fresh.raw.name(), fatal, |store| async move { store.close().await }).await;
        if apart.count_documents(doc! {}).await.unwrap() == 0 {
            break;
        }
    }
    let store = open_on(&fresh.raw).await;
    assert_eq!(apart.count_documents(doc! {}).await.unwrap(), 0);
    let id = expected[0].conversation;
    assert_eq!(store.entries_after(id, Seq::ZERO, 10).await.unwrap(), expected);
    assert_eq!(store.stored_by(someone(1)).await.unwrap(), 9);
    let plain = expected[0].message().map(|message| object_id(message.id.bytes())).unwrap();
    let plain = fresh.documents("entries").find_one(doc! { "_id": plain }).await.unwrap().unwrap();
    assert!(!plain.contains_key("attachment") && !plain.contains_key("replyTo"), "{plain}");
    assert!(expected.iter().filter_map(Entry::message).any(|message: &Message| message.attachment().is_some()));
    store.close().await;
}
