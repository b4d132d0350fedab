//! A database of the replaced server: documents in the shapes that mongoose writes.

use bson::oid::ObjectId;
use bson::{DateTime, Document, doc};
use parking_lot::Mutex;

use super::{Fresh, available, killed_at, later, person, someone};
use crate::domain::{
    AccountStatus, CodePurpose, Conversation, DeskId, Entry, Members, PendingCode, PendingCodes, Role, Seq, Side,
};
use crate::store::{
    Appended, CodesChange, ConversationStore as _, ListFor, StoreError, UserChange, UserCondition, UserKey,
    UserStore as _,
};

const HASH: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

fn date(second: i64) -> DateTime {
    DateTime::from_millis(later(second).millis())
}

fn account(n: u8, name: &str, role: &str) -> Document {
    doc! {
        "_id": person(n), "name": name, "email": format!("{}@x.test", name.to_lowercase()), "password": HASH,
        "googleId": null, "role": role, "status": "active", "otp": null,
        "createdAt": date(i64::from(n)), "updatedAt": date(i64::from(n)), "__v": 0,
    }
}

fn message(n: u32, sender: u8, receiver: u8, second: i64, is_read: bool) -> Document {
    doc! {
        "_id": ObjectId::from_parts(n, [7; 5], [0; 3]), "sender": person(sender), "receiver": person(receiver),
        "message": format!("message {n}"), "read": is_read,
        "createdAt": date(second), "updatedAt": date(second), "__v": 0,
    }
}

const ANN: u8 = 1;
const BOB: u8 = 2;
const ADMIN: u8 = 3;
const SECOND_ADMIN: u8 = 4;
const DELETED: u8 = 5;

/// Ids are not in the order of time, so that sorting by id would be noticed.
fn old_messages() -> Vec<Document> {
    vec![
        message(9, ANN, ADMIN, 10, true),
        message(8, ADMIN, ANN, 20, true),
        message(7, ANN, SECOND_ADMIN, 30, false),
        message(6, ADMIN, ANN, 40, false),
        message(5, BOB, ADMIN, 15, true),
        message(4, BOB, ADMIN, 16, true),
        message(3, ANN, BOB, 17, false),
        message(2, ADMIN, SECOND_ADMIN, 18, false),
        message(1, DELETED, ADMIN, 19, false),
    ]
}

async fn old_database() -> Fresh {
    let fresh = Fresh::open().await;
    let mut google = account(BOB, "Bob", "user");
    google.remove("password");
    google.insert("googleId", "1234567890");
    let users = [account(ANN, "Ann", "user"), google, account(ADMIN, "Admin", "admin"), account(4, "Second", "admin")];
    fresh.documents("users").insert_many(users).await.unwrap();
    fresh.documents("messages").insert_many(old_messages()).await.unwrap();
    fresh
}

async fn pick_up(fresh: &Fresh) -> Result<u64, StoreError> {
    fresh.store.pick_up(&|drafts| fresh.store.append(drafts)).await
}

async fn texts(fresh: &Fresh, conversation: &Conversation) -> Vec<String> {
    let log = fresh.store.entries_after(conversation.id, Seq::ZERO, 200).await.unwrap();
    log.iter().filter_map(Entry::message).map(|message| message.original.as_str().to_owned()).collect()
}

async fn conversation(fresh: &Fresh, members: Members) -> Conversation {
    fresh.store.find(members).await.unwrap().expect("the conversation was opened")
}

async fn dump(fresh: &Fresh, collection: &str) -> Vec<Document> {
    use futures_util::TryStreamExt as _;
    let all = fresh.documents(collection).find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
    all.try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_messages_get_their_conversation_and_seq_in_the_order_of_their_time() {
    if !available() {
        return;
    }
    let fresh = old_database().await;
    let heard = Mutex::new(Vec::new());
    let taken = fresh.store.migrate(&|done, total| heard.lock().push((done, total))).await.unwrap();
    assert_eq!((taken, heard.into_inner()), (9, vec![(9, 9)]));

    let ann = conversation(&fresh, Members::Support { customer: someone(ANN) }).await;
    assert_eq!(texts(&fresh, &ann).await, ["message 9", "message 8", "message 7", "message 6"]);
    let log = fresh.store.entries_after(ann.id, Seq::ZERO, 4).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!((log[2].author, log[2].side, log[2].at), (someone(ANN), Side::Customer, later(30)));
    assert_eq!(log[1].side, Side::Desk);
    let summary = fresh.store.summary(ann.id).await.unwrap().unwrap();
    assert_eq!((summary.side(Side::Desk).unread, summary.side(Side::Customer).unread), (1, 1));
    assert_eq!(summary.last_message.unwrap().body.as_str(), "message 6");

    let bob = conversation(&fresh, Members::Support { customer: someone(BOB) }).await;
    let summary = fresh.store.summary(bob.id).await.unwrap().unwrap();
    assert_eq!((summary.side(Side::Desk).unread, summary.side(Side::Desk).read.get()), (0, 2));
    assert_eq!(
        fresh.store.unread(ListFor::Agent(someone(ADMIN))).await.unwrap(),
        2,
        "Ann's, and the deleted account's"
    );
    let pair = conversation(&fresh, Members::direct(someone(ANN), someone(BOB))).await;
    assert_eq!(texts(&fresh, &pair).await, ["message 3"]);
    assert_eq!(fresh.store.unread(ListFor::Customer(someone(BOB))).await.unwrap(), 1);
    let admins = conversation(&fresh, Members::direct(someone(ADMIN), someone(SECOND_ADMIN))).await;
    assert_eq!(texts(&fresh, &admins).await, ["message 2"]);
    conversation(&fresh, Members::Support { customer: someone(DELETED) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_fields_stay_as_they_were_and_a_second_run_changes_nothing() {
    if !available() {
        return;
    }
    let fresh = old_database().await;
    fresh.store.migrate(&|_, _| ()).await.unwrap();
    fresh.store.flush().await.unwrap();
    let mut kept = dump(&fresh, "messages").await;
    for message in &mut kept {
        for ours in ["conversation", "seq", "side", "number"] {
            assert!(message.remove(ours).is_some(), "{ours} is missing");
        }
    }
    let mut before = old_messages();
    before.sort_by_key(|message| message.get_object_id("_id").unwrap());
    assert_eq!(kept, before);

    let collections = ["messages", "entries", "conversations", "users"];
    let mut first = Vec::new();
    for collection in collections {
        first.push(dump(&fresh, collection).await);
    }
    assert_eq!(fresh.store.migrate(&|_, _| panic!("there is nothing to do")).await.unwrap(), 0);
    fresh.store.flush().await.unwrap();
    for (collection, first) in collections.into_iter().zip(first) {
        assert_eq!(dump(&fresh, collection).await, first, "{collection} changed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_the_old_server_writes_meanwhile_are_imported() {
    if !available() {
        return;
    }
    let fresh = old_database().await;
    fresh.store.migrate(&|_, _| ()).await.unwrap();
    let ann = conversation(&fresh, Members::Support { customer: someone(ANN) }).await;
    let answer = super::say(&ann, ADMIN, Side::Desk, "ours");
    fresh.store.append(vec![answer]).await.remove(0).unwrap();
    let late = [message(20, ANN, ADMIN, 100, false), message(21, ADMIN, ANN, 101, true)];
    fresh.documents("messages").insert_many(late).await.unwrap();
    assert_eq!(pick_up(&fresh).await.unwrap(), 2);
    assert_eq!(texts(&fresh, &ann).await[4..], ["ours", "message 20", "message 21"]);
    let summary = fresh.store.summary(ann.id).await.unwrap().unwrap();
    assert_eq!(summary.side(Side::Desk).unread, 2, "message 7 was never read");
    assert_eq!(pick_up(&fresh).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_migration_continues_where_it_was() {
    if !available() {
        return;
    }
    let (killed, whole) = (old_database().await, old_database().await);
    whole.store.migrate(&|_, _| ()).await.unwrap();
    // It had appended two messages, but neither the copy nor the read marks were written.
    let ann = killed.support(ANN).await;
    for (n, author, side, second) in [(9, ANN, Side::Customer, 10), (8, ADMIN, Side::Desk, 20)] {
        let mut draft = super::say(&ann, author, side, &format!("message {n}"));
        draft.at = later(second);
        if let crate::domain::DraftKind::Message { id, .. } = &mut draft.kind {
            *id = crate::domain::MessageId::from_bytes(ObjectId::from_parts(n, [7; 5], [0; 3]).bytes());
        }
        let documents = vec![draft];
        assert!(matches!(killed.store.append(documents).await.remove(0).unwrap(), Appended::New(_)));
    }
    killed.store.flush().await.unwrap();
    let forget = doc! { "$unset": { "conversation": "", "seq": "", "side": "", "number": "" } };
    killed.documents("messages").update_many(doc! {}, forget).await.unwrap();
    assert_eq!(killed.store.migrate(&|_, _| ()).await.unwrap(), 9);
    let unlike = ["_id", "conversation", "number", "uuid", "createdAt"];
    for collection in ["entries", "conversations"] {
        let comparable = |documents: Vec<Document>| {
            let mut texts: Vec<String> = documents
                .into_iter()
                .map(|mut document| {
                    for field in unlike {
                        document.remove(field);
                    }
                    document.to_string()
                })
                .collect();
            texts.sort();
            texts
        };
        killed.store.flush().await.unwrap();
        whole.store.flush().await.unwrap();
        assert_eq!(comparable(dump(&killed, collection).await), comparable(dump(&whole, collection).await));
    }
    let left = killed.documents("messages").count_documents(doc! { "conversation": null }).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_killed_at_any_point_ends_like_one_that_was_not() {
    if !available() {
        return;
    }
    let fresh = old_database().await;
    fresh.documents("messages").delete_many(doc! {}).await.unwrap();
    // Six customers, a hundred messages each, of which the desk has read all but the last three.
    let old = (0..600).map(|i| message(1000 - i, 100 + (i % 6) as u8, ADMIN, i64::from(i), i / 6 < 97));
    fresh.documents("messages").insert_many(old).await.unwrap();
    for fatal in [20, 35, 50, 65, 80, 95] {
        killed_at(fresh.raw.name(), fatal, async |store| drop(store.migrate(&|_, _| ()).await)).await;
    }
    fresh.store.migrate(&|_, _| ()).await.unwrap();
    assert_eq!(fresh.documents("entries").count_documents(doc! { "kind": "message" }).await.unwrap(), 600);
    for customer in 100..106 {
        let conversation = conversation(&fresh, Members::Support { customer: someone(customer) }).await;
        let expected: Vec<_> =
            (0..100).map(|i| format!("message {}", 1000 - (u32::from(customer) - 100 + i * 6))).collect();
        assert_eq!(texts(&fresh, &conversation).await, expected);
        let summary = fresh.store.summary(conversation.id).await.unwrap().unwrap();
        assert_eq!(summary.side(Side::Desk).unread, 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_are_not_messages_are_skipped_and_delay_nothing() {
    if !available() {
        return;
    }
    let fresh = old_database().await;
    fresh.documents("messages").insert_one(doc! { "note": "somebody's own" }).await.unwrap();
    fresh.store.migrate(&|_, _| ()).await.unwrap();
    assert_eq!(fresh.documents("entries").count_documents(doc! { "kind": "message" }).await.unwrap(), 9);
    assert_eq!(pick_up(&fresh).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_accounts_keep_id_hash_and_role_and_get_a_number() {
    if !available() {
        return;
    }
    let fresh = old_database().await;
    let ann = fresh.store.find_user(UserKey::Email(&"ann@x.test".parse().unwrap())).await.unwrap().unwrap();
    assert_eq!((ann.id, ann.password_hash.as_deref(), ann.role), (someone(ANN), Some(HASH), Role::Customer));
    assert_eq!((ann.status, ann.created_at), (AccountStatus::Active, later(1)));
    let again = fresh.store.user(ann.id).await.unwrap().unwrap();
    assert_eq!(again.number, ann.number, "an account gets a number once");
    let page = fresh.store.users_of_role(Role::Customer, 0, 10).await.unwrap();
    assert_eq!(page.users.iter().map(|user| user.id).collect::<Vec<_>>(), [someone(ANN), someone(BOB)]);
    assert_ne!(page.users[0].number, page.users[1].number);
    assert_eq!(page.users[1].password_hash, None);
    assert_eq!(fresh.store.first_agent().await.unwrap().unwrap().id, someone(ADMIN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_existing_database_pins_the_id_by_which_its_customers_know_the_desk() {
    if !available() {
        return;
    }
    let fresh = old_database().await;
    assert_eq!(fresh.store.desk_ids().await.unwrap(), [], "there were no accounts when it was opened");
    let restarted = fresh.another().await;
    let ids = restarted.desk_ids().await.unwrap();
    assert_eq!(ids, [DeskId::from(&restarted.user(someone(ADMIN)).await.unwrap().unwrap())]);
    restarted.delete_user(someone(ADMIN)).await.unwrap();
    assert_eq!(fresh.another().await.desk_ids().await.unwrap(), ids);
}

/// Pages of the old server still address an admin who was demoted since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_the_old_server_to_a_former_admin_are_for_the_desk() {
    if !available() {
        return;
    }
    let fresh = old_database().await;
    fresh.store.migrate(&|_, _| ()).await.unwrap();
    let admin = fresh.store.user(someone(ADMIN)).await.unwrap().unwrap();
    fresh.store.pin_desk(DeskId::from(&admin)).await.unwrap();
    let demote = UserChange { role: Some(Role::Customer), ..UserChange::default() };
    fresh.store.update_user(admin.id, demote, later(90)).await.unwrap();
    fresh.documents("messages").insert_one(message(20, ANN, ADMIN, 100, false)).await.unwrap();
    assert_eq!(pick_up(&fresh).await.unwrap(), 1);
    let ann = conversation(&fresh, Members::Support { customer: someone(ANN) }).await;
    assert_eq!(texts(&fresh, &ann).await.last().map(String::as_str), Some("message 20"));
    let private = fresh.store.find(Members::direct(someone(ANN), someone(ADMIN))).await.unwrap();
    assert_eq!(private, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_single_code_of_an_earlier_version_is_valid_until_codes_change() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let mut ann = account(ANN, "Ann", "user");
    let code = doc! { "purpose": "login", "digest": "abc", "expiresAt": date(60), "failures": 3_i64 };
    ann.insert("code", code);
    fresh.documents("users").insert_one(ann).await.unwrap();
    let codes = async || fresh.store.user(someone(ANN)).await.unwrap().unwrap().pending_codes;
    let code = PendingCode { digest: "abc".into(), expires_at: later(60), failures: 3 };
    assert_eq!(codes().await, PendingCodes::from([(CodePurpose::LogIn, code.clone())]));
    let spoilt = PendingCode { failures: 4, ..code.clone() };
    let change_if = async |code: &PendingCode, codes| {
        let condition = UserCondition { code: Some((CodePurpose::LogIn, code.clone())), ..UserCondition::default() };
        let change = UserChange { codes, condition, ..UserChange::default() };
        fresh.store.update_user(someone(ANN), change, later(9)).await.unwrap().is_some()
    };
    assert!(!change_if(&spoilt, CodesChange::RemoveAll).await, "the account has another code");
    assert!(change_if(&code, CodesChange::Put(CodePurpose::LogIn, spoilt.clone())).await);
    assert_eq!(codes().await, PendingCodes::from([(CodePurpose::LogIn, spoilt.clone())]));
    assert!(!change_if(&code, CodesChange::RemoveAll).await, "its failures have been counted");
    assert!(change_if(&spoilt, CodesChange::Remove(CodePurpose::LogIn)).await);
    assert_eq!(codes().await, PendingCodes::new());
}
