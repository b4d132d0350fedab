//! All filters and sort orders, each served by an index of [`indexes`](super::indexes).
//!
//! Parameters are domain types only, so nothing that a client sends can become an operator.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, Uuid, doc};

use super::documents::{int, object_id, projection, side_to_int};
use crate::domain::{
    AccountStatus, ClientMessageId, ConversationId, Email, Members, MessageId, PendingCode, Role, Seq, Side, Summary,
    UserId,
};
use crate::store::UserCondition;

/// Lower than every id. A range above it means "is an id", and unlike `$ne` it is served by an index.
const NO_ID: ObjectId = ObjectId::from_bytes([0; 12]);

/// Earlier than every message: a range after it means that there is one.
const BEFORE_ALL: DateTime = DateTime::from_millis(0);

/// Documents by their id, together with [`by_id`].
pub(super) fn beyond(id: Option<ObjectId>) -> Document {
    doc! { "_id": { "$gt": id.unwrap_or(NO_ID) } }
}

pub(super) fn by_id() -> Document {
    doc! { "_id": 1 }
}

pub(super) fn delivered_beyond(user: UserId, after: Option<ConversationId>) -> Document {
    let after = after.map_or(NO_ID, |after| object_id(after.bytes()));
    doc! { "user": object_id(user.bytes()), "conversation": { "$gt": after } }
}

pub(super) fn by_conversation() -> Document {
    doc! { "conversation": 1 }
}

pub(super) fn by_seq() -> Document {
    doc! { "seq": 1 }
}

pub(super) fn newest_first() -> Document {
    doc! { "seq": -1 }
}

pub(super) fn entries_of(conversation: ConversationId) -> Document {
    doc! { "conversation": object_id(conversation.bytes()) }
}

pub(super) fn entries_after(conversation: ConversationId, after: Seq) -> Document {
    doc! { "conversation": object_id(conversation.bytes()), "seq": { "$gt": int(after.get()) } }
}

pub(super) fn messages_before(conversation: ConversationId, before: Option<Seq>) -> Document {
    let before = before.map_or(i64::MAX, |before| int(before.get()));
    doc! {
        "conversation": object_id(conversation.bytes()),
        "seq": { "$lt": before },
        "kind": "message",
        "$or": there_as_of(None),
    }
}

/// Messages before `before` that existed when the entry `as_of` was appended.
pub(super) fn messages_as_of(conversation: ConversationId, before: Seq, as_of: Seq) -> Document {
    doc! {
        "conversation": object_id(conversation.bytes()),
        "seq": { "$lt": int(before.get()) },
        "kind": "message",
        "$or": there_as_of(Some(as_of)),
    }
}

/// Messages of one side, after `after`, that existed when the entry `as_of` was appended.
pub(super) fn messages_between(conversation: ConversationId, side: Side, after: Seq, as_of: Seq) -> Document {
    doc! {
        "conversation": object_id(conversation.bytes()),
        "seq": { "$gt": int(after.get()), "$lt": int(as_of.get()) },
        "side": side_to_int(side),
        "kind": "message",
        "$or": there_as_of(Some(as_of)),
    }
}

/// Matches messages that are not deleted, or were not when the entry `as_of` was appended.
fn there_as_of(as_of: Option<Seq>) -> Vec<Document> {
    let mut there = vec![doc! { "revision": null }, doc! { "revision.text": { "$gt": "" } }];
    there.extend(as_of.map(|as_of| doc! { "revision.seq": { "$gte": int(as_of.get()) } }));
    there
}

/// A message, unless it was changed by the entry `by` or a later one.
pub(super) fn unrevised_since(conversation: ConversationId, message: Seq, by: Seq) -> Document {
    doc! {
        "conversation": object_id(conversation.bytes()),
        "seq": int(message.get()),
        "$or": [{ "revision": null }, { "revision.seq": { "$lt": int(by.get()) } }],
    }
}

/// A message whose stored revision is that of this entry, or that has none.
pub(super) fn revised_by(conversation: ConversationId, message: Seq, by: Option<Seq>) -> Document {
    let by = by.map(|by| int(by.get()));
    doc! { "conversation": object_id(conversation.bytes()), "seq": int(message.get()), "revision.seq": by }
}

pub(super) fn entries_at(conversation: ConversationId, seqs: Vec<Bson>) -> Document {
    doc! { "conversation": object_id(conversation.bytes()), "seq": { "$in": seqs } }
}

pub(super) fn entry_by_client_id(
    conversation: ConversationId,
    author: UserId,
    client_id: &ClientMessageId,
) -> Document {
    doc! {
        "conversation": object_id(conversation.bytes()),
        "author": object_id(author.bytes()),
        "clientMessageId": client_id.as_str(),
    }
}

/// The entry of a message, in any conversation, since ids are unique.
pub(super) fn entry_of_message(author: UserId, id: MessageId) -> Document {
    doc! { "_id": object_id(id.bytes()), "author": object_id(author.bytes()) }
}

/// The entry of a message.
pub(super) fn message_entry(id: MessageId) -> Document {
    doc! { "_id": object_id(id.bytes()), "kind": "message" }
}

/// Roughly the newest entries of all conversations, together with [`youngest_first`]: ids begin with the time.
pub(super) fn all_entries() -> Document {
    doc! { "_id": { "$gt": NO_ID } }
}

/// All documents, with ids of any type.
pub(super) fn everything() -> Document {
    doc! {}
}

pub(super) fn youngest_first() -> Document {
    doc! { "_id": -1 }
}

/// A conversation whose state is not beyond this entry.
pub(super) fn conversation_up_to(id: ConversationId, seq: Seq) -> Document {
    doc! { "_id": object_id(id.bytes()), "lastSeq": { "$lte": int(seq.get()) } }
}

/// A conversation whose projections equal these, or are behind them.
pub(super) fn conversation_as_in(summary: &Summary) -> Document {
    let is_behind = doc! { "lastSeq": { "$lt": int(summary.last_seq.get()) } };
    doc! { "_id": object_id(summary.conversation.id.bytes()), "$or": [is_behind, projection(summary)] }
}

/// This conversation, if it is one with the desk.
pub(super) fn support_conversation(id: ConversationId) -> Document {
    doc! { "_id": object_id(id.bytes()), "peer": null }
}

/// A conversation whose state is at exactly this entry.
pub(super) fn conversation_at(id: ConversationId, seq: Seq) -> Document {
    doc! { "_id": object_id(id.bytes()), "lastSeq": int(seq.get()) }
}

/// A conversation that is copied exactly up to this entry.
pub(super) fn conversation_copied_to(id: ConversationId, seq: Seq) -> Document {
    doc! { "_id": object_id(id.bytes()), "mirrored": int(seq.get()) }
}

pub(super) fn conversation(id: ConversationId) -> Document {
    doc! { "_id": object_id(id.bytes()) }
}

pub(super) fn conversations(ids: impl IntoIterator<Item = ConversationId>) -> Document {
    let ids: Vec<Bson> = ids.into_iter().map(|id| object_id(id.bytes()).into()).collect();
    doc! { "_id": { "$in": ids } }
}

pub(super) fn conversation_of(members: Members) -> Document {
    match members {
        Members::Support { customer } => doc! { "customer": object_id(customer.bytes()), "peer": null },
        Members::Direct { first, second } => {
            doc! { "customer": object_id(first.bytes()), "peer": object_id(second.bytes()) }
        }
    }
}

/// Support conversations that have messages and were not removed; use with [`newest_message_first`].
pub(super) fn support_conversations() -> Document {
    doc! { "peer": null, "status": { "$ne": "removed" }, "lastMessage.at": { "$gt": BEFORE_ALL } }
}

pub(super) fn newest_message_first() -> Document {
    doc! { "lastMessage.at": -1 }
}

pub(super) fn unread_by_the_desk() -> Document {
    doc! { "peer": null, "deskUnread": { "$gt": 0 } }
}

/// Support and direct conversations in which this person is on the customer's side.
pub(super) fn conversations_as_customer(user: UserId) -> Document {
    doc! { "customer": object_id(user.bytes()) }
}

pub(super) fn direct_as_first(user: UserId) -> Document {
    doc! { "customer": object_id(user.bytes()), "peer": { "$gt": NO_ID } }
}

pub(super) fn direct_as_second(user: UserId) -> Document {
    doc! { "peer": object_id(user.bytes()) }
}

pub(super) fn delivered(user: UserId, conversation: ConversationId) -> Document {
    doc! { "user": object_id(user.bytes()), "conversation": object_id(conversation.bytes()) }
}

pub(super) fn delivered_in(user: UserId, conversations: impl IntoIterator<Item = ConversationId>) -> Document {
    let ids: Vec<Bson> = conversations.into_iter().map(|id| object_id(id.bytes()).into()).collect();
    doc! { "user": object_id(user.bytes()), "conversation": { "$in": ids } }
}

pub(super) fn conversation_by_uuid(uuid: u128) -> Document {
    doc! { "uuid": Uuid::from_bytes(uuid.to_be_bytes()) }
}

pub(super) fn conversation_by_number(number: u64) -> Document {
    doc! { "number": int(number) }
}

/// Support conversations that were not removed, including those without messages; use with [`changed_last_first`].
pub(super) fn all_support_conversations() -> Document {
    doc! { "peer": null, "status": { "$ne": "removed" } }
}

pub(super) fn changed_last_first() -> Document {
    doc! { "updatedAt": -1 }
}

pub(super) fn messages_by_number(numbers: &[u64]) -> Document {
    let numbers: Vec<Bson> = numbers.iter().map(|number| int(*number).into()).collect();
    // The partial index serves the query only if the query names its range.
    doc! { "number": { "$in": numbers, "$gt": 0_i64 }, "kind": "message" }
}

/// Documents with the ids of these messages: entries, or copies.
pub(super) fn with_ids_of(messages: &[MessageId]) -> Document {
    let ids: Vec<Bson> = messages.iter().map(|id| object_id(id.bytes()).into()).collect();
    doc! { "_id": { "$in": ids } }
}

/// Names the range of the partial index, since the index serves the query only then.
pub(super) fn user_by_username(username: &str) -> Document {
    doc! { "personalDetails.username": { "$eq": username, "$gt": "" } }
}

/// Names the range of the partial index, since the index serves the query only then.
pub(super) fn user_by_session(digest: &str) -> Document {
    doc! { "personalDetails.session": { "$eq": digest, "$gt": "" } }
}

/// An account that has no profile.
pub(super) fn without_profile(id: ObjectId) -> Document {
    doc! { "_id": id, "personalDetails": null }
}

pub(super) fn user(id: UserId) -> Document {
    doc! { "_id": object_id(id.bytes()) }
}

/// An account, if this holds for it.
pub(super) fn user_if(id: UserId, condition: &UserCondition) -> Document {
    let UserCondition { unless_blocked, email, password_hash, code } = condition;
    let mut which = user(id);
    if *unless_blocked {
        // An unknown status is read as blocked, a missing one as unverified.
        let usable = [AccountStatus::Unverified.word().into(), AccountStatus::Active.word().into(), Bson::Null];
        which.insert("status", doc! { "$in": usable.to_vec() });
    }
    if let Some(email) = email {
        which.insert("email", email.as_str());
    }
    if let Some(hash) = password_hash {
        which.insert("password", hash);
    }
    if let Some((purpose, PendingCode { digest, failures, .. })) = code {
        let field = format!("codes.{}", purpose.word());
        let current = doc! { format!("{field}.digest"): digest, format!("{field}.failures"): i64::from(*failures) };
        // An earlier version stored one code only, in another place.
        let only = doc! {
            field: null, "code.purpose": purpose.word(), "code.digest": digest, "code.failures": i64::from(*failures),
        };
        which.insert("$or", vec![current, only]);
    }
    which
}

/// An account that has no number yet.
pub(super) fn unnumbered(id: ObjectId) -> Document {
    doc! { "_id": id, "number": null }
}

/// An account without a `googleId`.
pub(super) fn without_google_id(id: UserId) -> Document {
    doc! { "_id": object_id(id.bytes()), "googleId": null }
}

pub(super) fn users(ids: &[UserId]) -> Document {
    let ids: Vec<Bson> = ids.iter().map(|id| object_id(id.bytes()).into()).collect();
    doc! { "_id": { "$in": ids } }
}

pub(super) fn user_by_number(number: u64) -> Document {
    doc! { "number": int(number) }
}

pub(super) fn user_by_email(email: &Email) -> Document {
    doc! { "email": email.as_str() }
}

pub(super) fn users_of_role(role: Role) -> Document {
    doc! { "role": role.word() }
}

pub(super) fn usable_of_role(role: Role) -> Document {
    doc! { "role": role.word(), "status": { "$in": ["unverified", "active"] } }
}

pub(super) fn oldest_first() -> Document {
    doc! { "createdAt": 1, "_id": 1 }
}

/// Messages of this author that were sent with a file. Names the range of the partial index, since the index serves the
/// query only then.
pub(super) fn attachments_of(author: UserId) -> Document {
    doc! { "author": object_id(author.bytes()), "attachment.size": { "$gt": 0_i64 } }
}

/// Documents that turned out not to be messages of the old server.
pub(super) fn messages_left_out() -> Document {
    doc! { "conversation": false }
}

/// Messages that are not in the log yet; use with [`oldest_first`].
pub(super) fn messages_without_conversation() -> Document {
    doc! { "conversation": null }
}

/// Messages of one side, up to `up_to`, whose copy is flagged as unread.
pub(super) fn flagged_unread(conversation: ConversationId, side: Side, up_to: Seq) -> Document {
    doc! {
        "conversation": object_id(conversation.bytes()),
        "read": false,
        "seq": { "$lte": int(up_to.get()) },
        "side": side_to_int(side),
    }
}

/// The copy of this message.
pub(super) fn message(id: MessageId) -> Document {
    doc! { "_id": object_id(id.bytes()) }
}

pub(super) fn messages(ids: impl IntoIterator<Item = MessageId>) -> Document {
    let ids: Vec<Bson> = ids.into_iter().map(|id| object_id(id.bytes()).into()).collect();
    doc! { "_id": { "$in": ids } }
}

/// A document of `messages` that is not a message, by its id of any type.
pub(super) fn no_message(id: &Bson) -> Document {
    doc! { "_id": { "$eq": id } }
}

/// The id of the document with the ids of the desk.
pub(super) const DESK_IDS: &str = "deskIds";

/// The ids of the desk, if this is not one of them.
pub(super) fn desk_ids_without(user: UserId) -> Document {
    doc! { "_id": DESK_IDS, "ids.user": { "$ne": object_id(user.bytes()) } }
}

/// A document of the adapter's state.
pub(super) fn state(name: &'static str) -> Document {
    doc! { "_id": name }
}
