//! No query of the adapter may scan a whole collection.
//!
//! [`shapes`] and [`ranges_of_ids`] have every query of [`queries`], and no filter is built anywhere else.
//!
//! SecantusDB uses an index only for a filter that names fields of that index only, shows an in-memory sort even where
//! the index has the order, and does not use the `_id` index for ranges. On it, the fields that filter what an index
//! has found are omitted ([`NARROWS`]), and what it cannot show is asserted on a real server only.

use bson::{Bson, Document, doc};

use super::{Fresh, available, person, read, say, someone};
use crate::domain::{CodePurpose, ConversationId, MessageId, PendingCode, Role, Seq, Side, Summary, Timestamp};
use crate::store::mongo::{conversations, queries};
use crate::store::{ConversationStore as _, DeliveredCursor, MovedCursors, UserCondition};

/// Fields that are in no index: they filter what the others have found.
const NARROWS: [(&str, &str); 9] = [
    ("entries", "kind"),
    ("entries", "side"),
    ("entries", "$or"),
    ("entries", "revision.seq"),
    ("users", "status"),
    ("users", "password"),
    ("users", "$or"),
    ("conversations", "status"),
    ("messages", "side"),
];

/// A query: its collection, filter, and order if it has one.
type Shape = (&'static str, Document, Option<Document>);

fn shapes(summary: &Summary) -> Vec<Shape> {
    let (id, user, seq) = (summary.conversation.id, someone(1), Seq::new(3));
    let code = PendingCode { digest: "digest".into(), expires_at: Timestamp::from_millis(0), failures: 0 };
    let condition = UserCondition {
        unless_blocked: true,
        // An address alone is served by its own index.
        email: None,
        password_hash: Some("$hash".into()),
        code: Some((CodePurpose::LogIn, code)),
    };
    vec![
        ("entries", queries::entries_of(id), Some(queries::newest_first())),
        ("entries", queries::entries_after(id, seq), Some(queries::by_seq())),
        ("entries", queries::messages_before(id, Some(seq)), Some(queries::newest_first())),
        ("entries", queries::messages_before(id, None), Some(queries::newest_first())),
        ("entries", queries::messages_before(id, None), Some(queries::by_seq())),
        ("entries", queries::messages_between(id, Side::Desk, Seq::ZERO, seq), None),
        ("entries", queries::messages_as_of(id, seq, seq), Some(queries::newest_first())),
        ("entries", queries::entries_at(id, vec![Bson::Int64(1), Bson::Int64(2)]), Some(queries::by_seq())),
        ("entries", queries::unrevised_since(id, seq, seq), None),
        ("entries", queries::revised_by(id, seq, Some(seq)), None),
        ("entries", queries::message_entry(MessageId::from_bytes([1; 12])), None),
        ("entries", queries::entry_by_client_id(id, user, &"m1".parse().unwrap()), None),
        ("entries", queries::entry_of_message(user, MessageId::from_bytes([1; 12])), None),
        ("entries", queries::with_ids_of(&[MessageId::from_bytes([1; 12])]), None),
        ("conversations", queries::conversation(id), None),
        ("conversations", queries::support_conversation(id), None),
        ("conversations", queries::conversation_at(id, seq), None),
        ("conversations", queries::conversation_copied_to(id, seq), None),
        ("conversations", queries::conversation_as_in(summary), None),
        ("conversations", queries::conversation_up_to(id, seq), None),
        ("conversations", queries::conversations([id, ConversationId::from_bytes([1; 12])]), None),
        ("conversations", queries::conversation_of(crate::domain::Members::Support { customer: user }), None),
        ("conversations", queries::conversation_of(crate::domain::Members::direct(user, someone(2))), None),
        ("conversations", queries::support_conversations(), Some(queries::newest_message_first())),
        ("conversations", queries::unread_by_the_desk(), None),
        ("conversations", queries::conversations_as_customer(user), None),
        ("conversations", queries::direct_as_first(user), None),
        ("conversations", queries::direct_as_second(user), None),
        ("delivered", queries::delivered(user, id), None),
        ("delivered", queries::delivered_in(user, [id, ConversationId::from_bytes([1; 12])]), None),
        ("users", queries::user(user), None),
        ("users", queries::user_if(user, &condition), None),
        ("users", queries::unnumbered(person(1)), None),
        ("users", queries::without_google_id(user), None),
        ("users", queries::users(&[user, someone(2)]), None),
        ("users", queries::user_by_number(7), None),
        ("users", queries::user_by_email(&"ann@x.test".parse().unwrap()), None),
        ("users", queries::users_of_role(Role::Customer), Some(queries::oldest_first())),
        ("users", queries::usable_of_role(Role::Admin), Some(queries::oldest_first())),
        ("messages", queries::messages_without_conversation(), Some(queries::oldest_first())),
        ("messages", queries::messages_left_out(), Some(queries::oldest_first())),
        ("messages", queries::flagged_unread(id, Side::Desk, seq), Some(queries::by_seq())),
        ("messages", queries::messages([MessageId::from_bytes([1; 12])]), None),
        ("messages", queries::message(MessageId::from_bytes([1; 12])), None),
        ("messages", queries::no_message(&Bson::String("x".into())), None),
        ("entries", queries::attachments_of(user), None),
        ("deskline", queries::state("users"), None),
        ("deskline", queries::desk_ids_without(user), None),
        ("entries", queries::with_ids_of(&[MessageId::from_bytes([1; 12])]), None),
        ("users", queries::user_by_session("digest"), None),
        ("users", queries::user_by_username("ann"), None),
        ("users", queries::without_profile(person(1)), None),
        ("conversations", queries::conversation_by_uuid(7), None),
        ("conversations", queries::conversation_by_number(7), None),
        ("conversations", queries::all_support_conversations(), Some(queries::changed_last_first())),
        ("entries", queries::messages_by_number(&[7, 8]), None),
        // Of maintenance.
        ("delivered", queries::delivered_beyond(user, Some(id)), Some(queries::by_conversation())),
    ]
}

/// All but the first are of maintenance.
fn ranges_of_ids() -> [(&'static str, Document, Document); 4] {
    [
        ("entries", queries::all_entries(), queries::youngest_first()),
        ("users", queries::beyond(Some(person(1))), queries::by_id()),
        ("users", queries::everything(), queries::by_id()),
        ("conversations", queries::beyond(None), queries::by_id()),
    ]
}

/// Names of all stages of a plan, and whether it is a real server's.
async fn explain(fresh: &Fresh, command: Document) -> (Vec<String>, bool) {
    let plan = fresh.raw.run_command(doc! { "explain": command, "verbosity": "queryPlanner" }).await.unwrap();
    let is_real =
        plan.get_document("serverInfo").is_ok_and(|server| server.get_str("host").is_ok_and(|host| host != "secantus"));
    let mut stages = Vec::new();
    collect(&Bson::Document(plan), &mut stages);
    (stages, is_real)
}

fn collect(part: &Bson, stages: &mut Vec<String>) {
    match part {
        Bson::Document(document) => {
            for (name, value) in document {
                match value {
                    Bson::String(stage) if name == "stage" => stages.push(stage.clone()),
                    _ if name == "rejectedPlans" => {}
                    _ => collect(value, stages),
                }
            }
        }
        Bson::Array(parts) => parts.iter().for_each(|part| collect(part, stages)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_is_served_by_an_index() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let conversation = fresh.support(1).await;
    fresh.store.append(vec![say(&conversation, 1, Side::Customer, "hi")]).await.remove(0).unwrap();
    fresh.store.append(vec![read(&conversation, 9, Side::Desk, 1)]).await.remove(0).unwrap();
    let delivered = vec![DeliveredCursor { conversation: conversation.id, user: someone(1), up_to: Seq::new(1) }];
    fresh.store.advance_cursors(MovedCursors { delivered, ..MovedCursors::default() }).await.unwrap();
    fresh.documents("users").insert_one(doc! { "_id": person(1), "email": "ann@x.test" }).await.unwrap();
    fresh.store.flush().await.unwrap();

    let (_, is_real) = explain(&fresh, doc! { "find": "entries" }).await;
    for (collection, mut filter, sort) in shapes(&Summary::opened(conversation)) {
        for (of, field) in NARROWS {
            if !is_real && of == collection {
                filter.remove(field);
            }
        }
        // Nothing is more selective than an id.
        if !is_real && let Some(id) = filter.get("_id").cloned() {
            filter = doc! { "_id": id };
        }
        let mut find = doc! { "find": collection, "filter": filter.clone(), "limit": 10 };
        if let Some(sort) = &sort {
            find.insert("sort", sort.clone());
        }
        let (stages, _) = explain(&fresh, find).await;
        assert!(!stages.is_empty(), "no plan for {collection} {filter}");
        assert!(!stages.iter().any(|stage| stage == "COLLSCAN"), "{collection} {filter}: {stages:?}");
        assert!(!is_real || !stages.iter().any(|stage| stage == "SORT"), "{collection} {filter} {sort:?}: {stages:?}");
    }
    let unread = doc! { "aggregate": "conversations", "pipeline": conversations::unread_pipeline(), "cursor": {} };
    let (stages, _) = explain(&fresh, unread).await;
    assert!(!stages.iter().any(|stage| stage == "COLLSCAN"), "{stages:?}");

    for (collection, filter, sort) in ranges_of_ids() {
        let (stages, is_real) = explain(&fresh, doc! { "find": collection, "filter": filter, "sort": sort }).await;
        assert!(!is_real || !stages.iter().any(|stage| stage == "COLLSCAN" || stage == "SORT"), "{stages:?}");
    }
}

#[test]
fn no_query_is_left_out() {
    let here = include_str!("explain.rs");
    let names = include_str!("../queries.rs").lines().filter_map(|line| line.strip_prefix("pub(super) fn "));
    let names: Vec<_> = names.filter_map(|rest| rest.split(['(', '<']).next()).collect();
    assert!(names.contains(&"entries_of"), "{names:?}");
    let left_out: Vec<_> = names.iter().filter(|name| !here.contains(&format!("queries::{name}("))).collect();
    assert!(left_out.is_empty(), "not explained: {left_out:?}");
}

/// How a filter begins that is not built by `queries`.
const ON_THE_SPOT: [&str; 11] = [
    "find(doc!",
    "find_one(doc!",
    "find_one_and_update(doc!",
    "update_one(doc!",
    "update_many(doc!",
    "replace_one(doc!",
    "delete_one(doc!",
    "delete_many(doc!",
    "count_documents(doc!",
    "filter: doc!",
    "filter.insert(",
];

#[test]
fn no_filter_is_built_elsewhere() {
    let adapter = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/mongo");
    let mut found = Vec::new();
    for file in std::fs::read_dir(adapter).unwrap().map(|entry| entry.unwrap().path()) {
        if !file.is_file() || file.ends_with("queries.rs") {
            continue;
        }
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let names_an_id = line.contains("doc! { \"_id\":") && !line.contains("insert_one(");
            if names_an_id || ON_THE_SPOT.iter().any(|begin| line.contains(begin)) {
                found.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "belongs into queries.rs: {found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_scan_is_detected() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    fresh.documents("entries").insert_one(doc! { "body": "x" }).await.unwrap();
    let (stages, _) = explain(&fresh, doc! { "find": "entries", "filter": { "body": "x" } }).await;
    assert!(stages.iter().any(|stage| stage == "COLLSCAN"), "{stages:?}");
}
