//! Encodes events. Exhaustive: a new kind of event does not compile until it is handled here.
#![deny(clippy::wildcard_enum_match_arm)]

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::event;
use super::records::MessageBody;
use crate::domain::{
    ConnectionId, DeskEvent, EntryEvent, EntryKind, MessageStatus, Person, PresenceChange, Role, StatusChange,
    TypingChange,
};
use crate::presence::Outgoing;

/// A payload. It is encoded once for all connections of a person.
pub(in crate::faces::dashboard) struct Encoded(pub(in crate::faces::dashboard) Box<RawValue>);

/// The payload for this viewer, whose client reaches this server at `server_url`; `None` if it cannot be encoded.
pub(in crate::faces::dashboard) fn encode(event: &DeskEvent, viewer: &Person, server_url: &str) -> Option<Encoded> {
    let payload = match event {
        DeskEvent::Entry(event) => encode_entry(event, viewer, server_url),
        DeskEvent::Typing(change) => encode_typing(change, viewer),
        DeskEvent::Presence(change) => to_raw_value(&PresenceBody::from(&**change)),
        DeskEvent::Status(change) => to_raw_value(&MessageStatusBody::from(&**change)),
    };
    payload.map(Encoded).inspect_err(|error| tracing::error!(%error, "Could not encode an event")).ok()
}

/// The names under which a connection receives an event, in this order.
///
/// The connection that sent a message receives it as `message-sent`, and so do a customer's other tabs. An agent's other tabs receive it as
/// `receive-message`: clients show `message-sent` in the conversation that is open, and agents have several.
pub(in crate::faces::dashboard) fn names_for(outgoing: &Outgoing<'_>, connection: ConnectionId) -> Vec<&'static str> {
    let event = match outgoing.event {
        DeskEvent::Entry(event) => event,
        DeskEvent::Typing(change) if change.is_typing => return vec![event::USER_TYPING],
        DeskEvent::Typing(_) => return vec![event::USER_STOP_TYPING],
        DeskEvent::Presence(change) if change.is_online => return vec![event::USER_ONLINE],
        DeskEvent::Presence(_) => return vec![event::USER_OFFLINE],
        DeskEvent::Status(_) => return vec![event::MESSAGE_STATUS],
    };
    let is_author = event.author.id == outgoing.viewer.id;
    let is_origin = event.origin == Some(connection);
    match &event.entry.kind {
        EntryKind::Message(_) if !is_author => vec![event::RECEIVE_MESSAGE],
        EntryKind::Message(_) if event.parties.conversation.members.is_with_oneself() && is_origin => {
            vec![event::RECEIVE_MESSAGE, event::MESSAGE_SENT]
        }
        EntryKind::Message(_) if is_origin || outgoing.viewer.role == Role::Customer => vec![event::MESSAGE_SENT],
        EntryKind::Message(_) => vec![event::RECEIVE_MESSAGE],
        EntryKind::Read { .. } if is_author && is_origin => Vec::new(),
        EntryKind::Read { .. } => vec![event::MESSAGES_READ],
        EntryKind::StatusChanged { .. } => vec![event::CONVERSATION_STATUS],
        EntryKind::Edited { .. } => vec![event::MESSAGE_EDITED],
        EntryKind::Deleted { .. } => vec![event::MESSAGE_DELETED],
    }
}

/// An entry in the acknowledgement of `resume`: with its kind, since all kinds are in one list.
pub(in crate::faces::dashboard) fn encode_for_resume(
    event: &EntryEvent,
    viewer: &Person,
    status: Option<MessageStatus>,
    server_url: &str,
) -> serde_json::Result<Box<RawValue>> {
    #[derive(Serialize)]
    struct Body<'a> {
        seq: u64,
        kind: &'static str,
        entry: &'a RawValue,
    }
    let kind = match &event.entry.kind {
        EntryKind::Message(_) => "message",
        EntryKind::Read { .. } => "read",
        EntryKind::StatusChanged { .. } => "status",
        EntryKind::Edited { .. } => "edit",
        EntryKind::Deleted { .. } => "delete",
    };
    let entry = match event.entry.message() {
        Some(message) => to_raw_value(&MessageBody::sent(event, message, viewer, status, server_url))?,
        None => encode_entry(event, viewer, server_url)?,
    };
    to_raw_value(&Body { seq: event.entry.seq.get(), kind, entry: &entry })
}

fn encode_entry(event: &EntryEvent, viewer: &Person, server_url: &str) -> serde_json::Result<Box<RawValue>> {
    let seq = event.entry.seq.get();
    let conversation_id = event.entry.conversation.to_string();
    match &event.entry.kind {
        EntryKind::Message(message) => to_raw_value(&MessageBody::sent(event, message, viewer, None, server_url)),
        EntryKind::Read { up_to } => {
            let read_by = event.author_and_addressee(viewer).0.id.to_string();
            to_raw_value(&ReadBody { read_by, conversation_id, seq, up_to: up_to.get() })
        }
        EntryKind::StatusChanged { status } => {
            to_raw_value(&StatusBody { conversation_id, seq, status: status.shown() })
        }
        EntryKind::Edited { target, .. } => to_raw_value(&EditedBody {
            message_id: target.id.to_string(),
            conversation_id,
            seq,
            message: event.text_with_link(server_url),
            edited_at: event.entry.at.to_string(),
            edited_by: event.author_and_addressee(viewer).0.id.to_string(),
        }),
        EntryKind::Deleted { target } => to_raw_value(&DeletedBody {
            message_id: target.id.to_string(),
            conversation_id,
            seq,
            deleted_at: event.entry.at.to_string(),
            deleted_by: event.author_and_addressee(viewer).0.id.to_string(),
        }),
    }
}

fn encode_typing(change: &TypingChange, viewer: &Person) -> serde_json::Result<Box<RawValue>> {
    let typist = change.typist_seen_by(viewer);
    let conversation_id = change.parties.conversation.id.to_string();
    to_raw_value(&TypingBody { user_id: typist.id.to_string(), conversation_id, name: &typist.shown.name })
}

/// `messages-read` — the other side has read messages.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadBody {
    read_by: String,
    conversation_id: String,
    seq: u64,
    up_to: u64,
}

/// `conversation-status` — an agent closed or opened a conversation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusBody {
    conversation_id: String,
    seq: u64,
    status: &'static str,
}

/// `message-status` — all messages of the recipient's side up to `upTo` have reached this status; `messageId` is the newest of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageStatusBody {
    conversation_id: String,
    status: &'static str,
    up_to: u64,
    message_id: String,
}

impl From<&StatusChange> for MessageStatusBody {
    fn from(change: &StatusChange) -> Self {
        Self {
            conversation_id: change.conversation.to_string(),
            status: change.status.word(),
            up_to: change.up_to.get(),
            message_id: change.message.to_string(),
        }
    }
}

/// `message-edited` — a message has a new text. Without the text, it was deleted later.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EditedBody<'a> {
    message_id: String,
    conversation_id: String,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Cow<'a, str>>,
    edited_at: String,
    edited_by: String,
}

/// `message-deleted` — a message was deleted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeletedBody {
    message_id: String,
    conversation_id: String,
    seq: u64,
    deleted_at: String,
    deleted_by: String,
}

/// `user-typing`, `user-stop-typing`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TypingBody<'a> {
    user_id: String,
    conversation_id: String,
    name: &'a str,
}

/// `user-online`, `user-offline`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PresenceBody {
    user_id: String,
}

impl From<&PresenceChange> for PresenceBody {
    fn from(change: &PresenceChange) -> Self {
        Self { user_id: change.user.to_string() }
    }
}
