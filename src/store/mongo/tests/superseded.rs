//! Databases of earlier versions, whose documents are moved to their new collections.

use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Document, doc};
use futures_util::TryStreamExt as _;
use mongodb::Collection;

use super::{Fresh, available, killed_at, open_on, say, someone};
use crate::domain::{
    AccountStatus, Attachment, Clock as _, Entry, Message, MessageExtras, NameParts, PendingCodes, Profile, Role, Seq,
    Side, SystemClock, UserId,
};
use crate::store::mongo::documents::object_id;
use crate::store::{Appended, ConversationStore as _, NewUser, UserKey, UserStore as _};

/// The maximum number of commands that a start sends.
const COMMANDS: u32 = 60;

fn file() -> Attachment {
    Attachment { file: "f".into(), name: "a b.txt".into(), media_type: "text/plain".into(), size: 9 }
}

fn superseded(message: ObjectId, reply_to: Option<i64>, attachment: Option<Document>) -> Document {
    doc! { "_id": message, "author": object_id(someone(1).bytes()), "replyTo": reply_to, "attachment": attachment }
}

fn ann() -> Profile {
    Profile {
        username: Some("ann".into()),
        name_parts: Some(NameParts::new("Ann", "Lee")),
        phone: "+49 1".into(),
        birth_date: Some("1990-02-28".parse().unwrap()),
        ..Profile::default()
    }
}

fn visitor() -> Profile {
    Profile { session: Some("digest".into()), contact_email: "visitor@x.test".into(), ..Profile::default() }
}

fn superseded_profile(user: UserId, profile: &Profile) -> Document {
    let mut document = doc! {
        "_id": object_id(user.bytes()), "contactEmail": &profile.contact_email, "phone": &profile.phone,
    };
    if let Some(username) = &profile.username {
        document.insert("username", username);
    }
    if let Some(NameParts { first, last }) = &profile.name_parts {
        document.extend(doc! { "firstName": first, "lastName": last });
    }
    if let Some(birth_date) = profile.birth_date {
        document.insert("birthDate", birth_date.to_string());
    }
    if let Some(session) = &profile.session {
        document.insert("session", session);
    }
    document
}

async fn all(documents: &Collection<Document>) -> Vec<Document> {
    documents.find(doc! {}).await.unwrap().try_collect().await.unwrap()
}

/// Restores the documents of a superseded collection that a start has moved already.
async fn put_back(documents: &Collection<Document>, before: &[Document]) {
    for document in before {
        let one = doc! { "_id": document.get_object_id("_id").unwrap() };
        documents.replace_one(one, document).upsert(true).await.unwrap();
    }
}

/// An id with a time in the past.
fn made_before(age: Duration) -> ObjectId {
    let mut bytes = ObjectId::new().bytes();
    let made = SystemClock.now().millis() / 1000 - i64::try_from(age.as_secs()).unwrap();
    bytes[..4].copy_from_slice(&u32::try_from(made).unwrap().to_be_bytes());
    ObjectId::from_bytes(bytes)
}

/// Turns the database into one of version 0.2. Returns the log as it has to be read then.
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
    for (n, profile) in [(1, &ann()), (2, &Profile::default()), (3, &visitor())] {
        let (email, at) = ((n != 3).then(|| format!("{n}@x.test").parse().unwrap()), super::START);
        let (role, status) = (Role::Customer, AccountStatus::Active);
        let (pending_codes, name) = (PendingCodes::new(), format!("Someone {n}"));
        let id = someone(n);
        let new = NewUser {
            id,
            name,
            email,
            password_hash: None,
            role,
            status,
            pending_codes,
            profile: Profile::default(),
            at,
        };
        fresh.store.create_user(new).await.unwrap();
        fresh.documents("profiles").insert_one(superseded_profile(id, profile)).await.unwrap();
    }
    // A profile of a deleted account.
    let lost = Profile { username: Some("deleted".into()), ..Profile::default() };
    fresh.documents("profiles").insert_one(superseded_profile(someone(7), &lost)).await.unwrap();
    // Extras of a message that was never stored, two hours old.
    let lost = superseded(made_before(Duration::from_hours(2)), Some(1), None);
    fresh.documents("messageExtras").insert_one(lost).await.unwrap();
    fresh.store.flush().await.unwrap();
    expected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_an_earlier_version_are_moved_however_often_the_start_is_killed() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let expected = make_old(&fresh).await;
    let (extras, profiles) = (fresh.documents("messageExtras"), fresh.documents("profiles"));
    let (extras_before, profiles_before) = (all(&extras).await, all(&profiles).await);
    assert_eq!((extras_before.len(), profiles_before.len()), (3, 4));
    let mut was_killed = 0;
    for fatal in 1..=COMMANDS {
        put_back(&extras, &extras_before).await;
        put_back(&profiles, &profiles_before).await;
        killed_at(fresh.raw.name(), fatal, |store| async move { store.close().await }).await;
        if all(&extras).await.is_empty() && all(&profiles).await.is_empty() {
            break;
        }
        was_killed = fatal;
    }
    assert!((1..COMMANDS).contains(&was_killed), "{was_killed}");
    let store = open_on(&fresh.raw).await;
    assert_eq!((all(&extras).await, all(&profiles).await), (vec![], vec![]));
    for (n, profile) in [(1, ann()), (2, Profile::default()), (3, visitor())] {
        assert_eq!(store.user(someone(n)).await.unwrap().unwrap().profile, profile, "{n}");
    }
    let found = store.find_user(UserKey::Session("digest")).await.unwrap();
    assert_eq!(found.map(|user| user.id), Some(someone(3)));
    assert_eq!(store.find_user(UserKey::Username("deleted")).await.unwrap(), None);
    let plain =
        fresh.documents("users").find_one(doc! { "_id": object_id(someone(2).bytes()) }).await.unwrap().unwrap();
    assert!(!plain.contains_key("personalDetails"), "{plain}");
    let id = expected[0].conversation;
    assert_eq!(store.entries_after(id, Seq::ZERO, 10).await.unwrap(), expected);
    assert_eq!(store.stored_by(someone(1)).await.unwrap(), 9);
    let plain = expected[0].message().map(|message| object_id(message.id.bytes())).unwrap();
    let plain = fresh.documents("entries").find_one(doc! { "_id": plain }).await.unwrap().unwrap();
    assert!(!plain.contains_key("attachment") && !plain.contains_key("replyTo"), "{plain}");
    assert!(expected.iter().filter_map(Entry::message).any(|message: &Message| message.attachment().is_some()));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extras_that_an_earlier_version_is_storing_are_left_until_their_entry_exists() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let conversation = fresh.support(1).await;
    let (apart, entries) = (fresh.documents("messageExtras"), fresh.documents("entries"));
    fresh.store.append(vec![say(&conversation, 1, Side::Customer, "answer")]).await.remove(0).unwrap();
    fresh.store.flush().await.unwrap();
    // The other server has written the document, but not the entry yet.
    let mut entry = entries.find_one_and_delete(doc! {}).await.unwrap().unwrap();
    let young = made_before(Duration::from_mins(1));
    entry.insert("_id", young);
    apart.insert_one(superseded(young, Some(1), None)).await.unwrap();
    apart.insert_one(superseded(made_before(Duration::from_hours(2)), Some(1), None)).await.unwrap();
    fresh.another().await.close().await;
    let left = apart.find_one(doc! {}).await.unwrap().expect("it was deleted before its entry came");
    assert_eq!((left.get_object_id("_id").unwrap(), apart.count_documents(doc! {}).await.unwrap()), (young, 1));
    entries.insert_one(entry).await.unwrap();
    fresh.another().await.close().await;
    assert_eq!(apart.count_documents(doc! {}).await.unwrap(), 0);
    assert_eq!(entries.find_one(doc! { "_id": young }).await.unwrap().unwrap().get_i64("replyTo").unwrap(), 1);
}
