//! Converts documents to values and back: the log, conversations, and delivery cursors.

use bson::oid::ObjectId;
use bson::{DateTime, Document, Uuid, doc};
use serde::{Deserialize, Serialize};

use super::extras::{self, AttachmentDocument};
use super::revisions::{RevisionDocument, TargetDocument};
use crate::domain::{
    Conversation, ConversationId, Entry, EntryKind, LastMessage, Members, Message, MessageBody, MessageId,
    ReceiptCursor, Revision, Seq, Side, SideState, Status, Summary, Timestamp, UserId,
};
use crate::store::StoreError;

pub(super) const ENTRIES: &str = "entries";
pub(super) const CONVERSATIONS: &str = "conversations";
pub(super) const DELIVERED: &str = "delivered";
pub(super) const USERS: &str = "users";
pub(super) const MESSAGES: &str = "messages";

/// One entry of a log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryDocument {
    /// Of a message: its id, which it also has in `messages`.
    #[serde(rename = "_id")]
    pub(super) id: ObjectId,
    pub(super) conversation: ObjectId,
    pub(super) seq: i64,
    kind: Kind,
    author: ObjectId,
    side: i32,
    at: DateTime,
    /// Of a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<i64>,
    /// Of a message, if its client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_message_id: Option<String>,
    /// The original text of a message, or the new text of an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Of a read mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    up_to: Option<i64>,
    /// Of a status change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// Of an edit or a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<TargetDocument>,
    /// Of a reply: the number of the message that it replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<i64>,
    /// Of a message that was sent with a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attachment: Option<AttachmentDocument>,
    /// Of a message that was edited or deleted. A projection of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<RevisionDocument>,
}

/// The kind of an entry.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Message,
    Read,
    Status,
    Edit,
    Delete,
}

impl From<&Entry> for EntryDocument {
    fn from(entry: &Entry) -> Self {
        let mut document = Self {
            id: object_id(MessageId::generate(entry.at).bytes()),
            conversation: object_id(entry.conversation.bytes()),
            seq: int(entry.seq.get()),
            kind: Kind::Message,
            author: object_id(entry.author.bytes()),
            side: side_to_int(entry.side),
            at: date(entry.at),
            number: None,
            client_message_id: None,
            body: None,
            up_to: None,
            status: None,
            target: entry.target().map(TargetDocument::from),
            reply_to: None,
            attachment: None,
            revision: None,
        };
        match &entry.kind {
            EntryKind::Message(message) => {
                document.id = object_id(message.id.bytes());
                document.number = Some(int(message.number));
                document.client_message_id = message.client_id.as_ref().map(|id| id.as_str().to_owned());
                document.body = Some(message.original.as_str().to_owned());
                document.reply_to = message.reply_to().map(int);
                document.attachment = message.attachment().map(AttachmentDocument::from);
            }
            EntryKind::Read { up_to } => {
                document.kind = Kind::Read;
                document.up_to = Some(int(up_to.get()));
            }
            EntryKind::StatusChanged { status } => {
                document.kind = Kind::Status;
                document.status = Some(status.word().to_owned());
            }
            EntryKind::Edited { body, .. } => {
                document.kind = Kind::Edit;
                document.body = Some(body.as_str().to_owned());
            }
            EntryKind::Deleted { .. } => document.kind = Kind::Delete,
        }
        document
    }
}

impl TryFrom<EntryDocument> for Entry {
    type Error = StoreError;

    fn try_from(document: EntryDocument) -> Result<Self, StoreError> {
        let unreadable = || StoreError::Corrupt(format!("entry {} in {ENTRIES}", document.id));
        let kind = match document.kind {
            Kind::Message => EntryKind::Message(Message {
                id: MessageId::from_bytes(document.id.bytes()),
                number: whole(document.number.ok_or_else(unreadable)?),
                original: MessageBody::stored(document.body.clone().ok_or_else(unreadable)?),
                client_id: match &document.client_message_id {
                    None => None,
                    Some(text) => Some(text.parse().map_err(|_| unreadable())?),
                },
                extras: extras::read(document.reply_to, document.attachment.as_ref()),
                revision: document.revision.clone().map(Revision::from),
            }),
            Kind::Read => EntryKind::Read { up_to: Seq::new(whole(document.up_to.ok_or_else(unreadable)?)) },
            Kind::Status => {
                let word = document.status.as_deref().ok_or_else(unreadable)?;
                EntryKind::StatusChanged { status: word.parse().map_err(|_| unreadable())? }
            }
            Kind::Edit | Kind::Delete => {
                let target = document.target.as_ref().and_then(TargetDocument::read).ok_or_else(unreadable)?;
                match (document.kind, document.body.clone()) {
                    (Kind::Edit, Some(body)) => EntryKind::Edited { target, body: MessageBody::stored(body) },
                    (Kind::Delete, _) => EntryKind::Deleted { target },
                    _ => return Err(unreadable()),
                }
            }
        };
        Ok(Self {
            conversation: ConversationId::from_bytes(document.conversation.bytes()),
            seq: Seq::new(whole(document.seq)),
            author: UserId::from_bytes(document.author.bytes()),
            side: side_of_int(document.side).ok_or_else(unreadable)?,
            at: time(document.at),
            kind,
        })
    }
}

/// A conversation: the fixed facts, then the projections of its log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationDocument {
    #[serde(rename = "_id")]
    pub(super) id: ObjectId,
    number: i64,
    uuid: Uuid,
    /// The customer, or the first account of a direct conversation.
    customer: ObjectId,
    /// The second account; null in a conversation with the desk.
    peer: Option<ObjectId>,
    created_at: DateTime,
    status: String,
    pub(super) last_seq: i64,
    updated_at: DateTime,
    last_message: Option<LastMessageDocument>,
    customer_read: i64,
    customer_unread: i64,
    desk_read: i64,
    desk_unread: i64,
    /// Everything up to here has been copied to `messages`.
    pub(super) mirrored: i64,
    /// Receipts of both sides; missing until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer_reach: Option<ReachDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    desk_reach: Option<ReachDocument>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct ReachDocument {
    sent: i64,
    delivered: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct LastMessageDocument {
    seq: i64,
    side: i32,
    body: String,
    at: DateTime,
}

impl ConversationDocument {
    /// A conversation without entries.
    pub(super) fn opened(conversation: Conversation) -> Self {
        let (customer, peer) = match conversation.members {
            Members::Support { customer } => (customer, None),
            Members::Direct { first, second } => (first, Some(second)),
        };
        Self {
            id: object_id(conversation.id.bytes()),
            number: int(conversation.number),
            uuid: Uuid::from_bytes(conversation.uuid.to_be_bytes()),
            customer: object_id(customer.bytes()),
            peer: peer.map(|peer| object_id(peer.bytes())),
            created_at: date(conversation.created_at),
            status: Status::Active.word().to_owned(),
            last_seq: 0,
            updated_at: date(conversation.created_at),
            last_message: None,
            customer_read: 0,
            customer_unread: 0,
            desk_read: 0,
            desk_unread: 0,
            mirrored: 0,
            customer_reach: None,
            desk_reach: None,
        }
    }

    /// The receipts of both sides, by [`Side::index`].
    pub(super) fn receipt_cursors(&self) -> [ReceiptCursor; 2] {
        [self.customer_reach, self.desk_reach].map(|reach| {
            reach.map_or_else(ReceiptCursor::default, |reach| ReceiptCursor {
                sent: Seq::new(whole(reach.sent)),
                delivered: Seq::new(whole(reach.delivered)),
            })
        })
    }

    pub(super) fn conversation(&self) -> Conversation {
        let customer = UserId::from_bytes(self.customer.bytes());
        Conversation {
            id: ConversationId::from_bytes(self.id.bytes()),
            number: whole(self.number),
            uuid: u128::from_be_bytes(self.uuid.bytes()),
            members: match self.peer {
                None => Members::Support { customer },
                Some(peer) => Members::direct(customer, UserId::from_bytes(peer.bytes())),
            },
            created_at: time(self.created_at),
        }
    }
}

/// The update of a [`ConversationDocument`] that stores a receipt. Stored ones move forward only.
pub(super) fn reached(side: Side, reach: ReceiptCursor) -> Document {
    let field = match side {
        Side::Customer => "customerReach",
        Side::Desk => "deskReach",
    };
    let (sent, delivered) = (format!("{field}.sent"), format!("{field}.delivered"));
    doc! { "$max": { sent: int(reach.sent.get()), delivered: int(reach.delivered.get()) } }
}

/// The fields of [`ConversationDocument`] that follow from the log.
pub(super) fn projection(summary: &Summary) -> Document {
    let last_message = summary.last_message.as_ref().map(|last| {
        doc! {
            "seq": int(last.seq.get()),
            "side": side_to_int(last.side),
            "body": last.body.as_str(),
            "at": date(last.at),
        }
    });
    let [customer, desk] = &summary.sides;
    doc! {
        "status": summary.status.word(),
        "lastSeq": int(summary.last_seq.get()),
        "updatedAt": date(summary.updated_at),
        "lastMessage": last_message,
        "customerRead": int(customer.read.get()),
        "customerUnread": int(customer.unread),
        "deskRead": int(desk.read.get()),
        "deskUnread": int(desk.unread),
    }
}

impl TryFrom<ConversationDocument> for Summary {
    type Error = StoreError;

    fn try_from(document: ConversationDocument) -> Result<Self, StoreError> {
        let unreadable = || StoreError::Corrupt(format!("conversation {} in {CONVERSATIONS}", document.id));
        let conversation = document.conversation();
        let last_message = match &document.last_message {
            None => None,
            Some(last) => Some(LastMessage {
                seq: Seq::new(whole(last.seq)),
                side: side_of_int(last.side).ok_or_else(unreadable)?,
                body: MessageBody::stored(last.body.clone()),
                at: time(last.at),
            }),
        };
        Ok(Self {
            conversation,
            status: document.status.parse().map_err(|_| unreadable())?,
            last_seq: Seq::new(whole(document.last_seq)),
            last_message,
            sides: [
                SideState { read: Seq::new(whole(document.customer_read)), unread: whole(document.customer_unread) },
                SideState { read: Seq::new(whole(document.desk_read)), unread: whole(document.desk_unread) },
            ],
            updated_at: time(document.updated_at),
        })
    }
}

/// How far one person has been delivered to in one conversation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveredDocument {
    pub(super) user: ObjectId,
    pub(super) conversation: ObjectId,
    pub(super) up_to: i64,
}

/// Our fields of a message in `messages`.
pub(super) fn our_fields(entry: &Entry, message: &Message) -> Document {
    let mut fields = doc! {
        "conversation": object_id(entry.conversation.bytes()),
        "seq": int(entry.seq.get()),
        "side": side_to_int(entry.side),
        "number": int(message.number),
    };
    if let Some(client_id) = &message.client_id {
        fields.insert("clientMessageId", client_id.as_str());
    }
    fields
}

/// The old server's fields of a message with this text.
pub(super) fn old_fields(entry: &Entry, text: &MessageBody, receiver: UserId, read: bool) -> Document {
    doc! {
        "sender": object_id(entry.author.bytes()),
        "receiver": object_id(receiver.bytes()),
        "message": text.as_str(),
        "read": read,
        "createdAt": date(entry.at),
        "updatedAt": date(entry.at),
        "__v": 0,
    }
}

pub(super) const fn object_id(bytes: &[u8; 12]) -> ObjectId {
    ObjectId::from_bytes(*bytes)
}

pub(super) const fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.millis())
}

pub(super) const fn time(at: DateTime) -> Timestamp {
    Timestamp::from_millis(at.timestamp_millis())
}

/// Numbers are stored as signed 64-bit integers, the only ones that BSON has.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

pub(super) const fn side_to_int(side: Side) -> i32 {
    match side {
        Side::Customer => 0,
        Side::Desk => 1,
    }
}

pub(super) const fn side_of_int(side: i32) -> Option<Side> {
    match side {
        0 => Some(Side::Customer),
        1 => Some(Side::Desk),
        _ => None,
    }
}
