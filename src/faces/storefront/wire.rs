//! Names and shapes of the storefront's dialect. Frames and responses have the fields of both generations of its frontends.
#![deny(clippy::wildcard_enum_match_arm)]

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::accounts::sign_in::username;
use crate::accounts::visitors::ANONYMOUS;
use crate::desk::conversations::SupportConversation;
use crate::domain::{
    DeskEvent, EntryEvent, EntryKind, NameParts, Person, Profile, Role, Side, Summary, Timestamp, User,
};
use crate::faces::channels::caller::is_superuser;
use crate::faces::channels::send_queue::frame_text;
use crate::faces::channels::timestamps;
use crate::json;

/// A frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientFrame {
    /// `{"type":"chat_message","content"}`, in a room.
    ChatMessage { content: String },
    /// `{"type":"admin_message","room_id","content"}`, on the agents' socket.
    AdminMessage { room: u128, content: String },
    /// `{"type":"ping"}`.
    Ping,
}

impl ClientFrame {
    /// Reads a frame; `None` for one that is ignored.
    pub(super) fn read(text: &str) -> Option<Self> {
        let frame: Value = json::read(text.as_bytes()).ok()?;
        let content = || frame.get("content").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        match frame.get("type")?.as_str()? {
            "chat_message" => Some(Self::ChatMessage { content: content()?.to_owned() }),
            "admin_message" => {
                let room = Uuid::try_parse(frame.get("room_id")?.as_str()?).ok()?.as_u128();
                Some(Self::AdminMessage { room, content: content()?.to_owned() })
            }
            "ping" => Some(Self::Ping),
            _ => None,
        }
    }
}

/// A room's id in this dialect: its UUID with hyphens.
pub(super) fn room_id(uuid: u128) -> String {
    Uuid::from_u128(uuid).hyphenated().to_string()
}

/// A message, in responses and in frames.
#[derive(Serialize)]
pub(super) struct MessageBody<'a> {
    pub(super) id: u64,
    sender_type: &'static str,
    sender_name: String,
    content: Cow<'a, str>,
    is_read: bool,
    created_at: String,
    room: String,
    sender_user: Option<u64>,
}

/// For whom a message is encoded.
#[derive(Clone, Copy)]
pub(super) struct Viewer<'a> {
    pub(super) desk: DeskName<'a>,
    /// URL at which their client reaches this server, e.g. `https://chat.example.com`.
    pub(super) server_url: &'a str,
}

/// The name shown on the desk's messages.
#[derive(Clone, Copy)]
pub(super) enum DeskName<'a> {
    /// To customers, and to clients that know the room's id only: one public name for all agents, by default that of the support
    /// identity.
    Public(Option<&'a str>),
    /// To agents: the colleague who wrote.
    Colleague,
}

impl<'a> MessageBody<'a> {
    /// `None` if the entry is not a message.
    pub(super) fn new(
        event: &'a EntryEvent,
        viewer: Viewer<'_>,
        is_read: bool,
        stamp: fn(Timestamp) -> String,
    ) -> Option<Self> {
        let message = event.entry.message()?;
        let by_desk = event.entry.side == Side::Desk;
        let sender = match viewer.desk {
            _ if !by_desk => &event.parties.customer,
            DeskName::Public(_) => &event.parties.desk,
            DeskName::Colleague => &event.author,
        };
        let sender_name = match viewer.desk {
            DeskName::Colleague if by_desk => format!("{} ({})", sender.name, sender.email),
            DeskName::Public(Some(name)) if by_desk => name.to_owned(),
            DeskName::Colleague | DeskName::Public(_) => sender.name.clone(),
        };
        Some(Self {
            id: message.number,
            sender_type: if by_desk { "admin" } else { "customer" },
            sender_name,
            content: event.text_with_link(viewer.server_url)?,
            // Messages of the desk count as read at once: the dialect has no event for a customer's read mark.
            is_read: is_read || by_desk,
            created_at: stamp(event.entry.at),
            room: room_id(event.parties.conversation.uuid),
            sender_user: (!sender.email.is_empty()).then_some(sender.number),
        })
    }
}

/// Messages, each with whether the desk has read it.
pub(super) fn messages<'a>(log: &'a [EntryEvent], summary: &Summary, viewer: Viewer<'_>) -> Vec<MessageBody<'a>> {
    let read = summary.side(Side::Desk).read;
    log.iter().filter_map(|event| MessageBody::new(event, viewer, event.entry.seq <= read, timestamps::rest)).collect()
}

#[derive(Serialize)]
struct LastMessageBody<'a> {
    content: &'a str,
    sender_type: &'static str,
    created_at: String,
}

impl<'a> LastMessageBody<'a> {
    fn of(summary: &'a Summary, stamp: fn(Timestamp) -> String) -> Option<Self> {
        summary.last_message.as_ref().map(|last| Self {
            content: last.body.as_str(),
            sender_type: if last.side == Side::Desk { "admin" } else { "customer" },
            created_at: stamp(last.at),
        })
    }
}

/// A room in responses: the fields of both generations.
#[derive(Serialize)]
pub(super) struct RoomBody<'a> {
    id: String,
    customer_name: &'a str,
    customer_email: &'a str,
    customer_phone: &'a str,
    /// Always empty: the session is a secret of the customer.
    customer_session: &'static str,
    user: Option<u64>,
    status: &'static str,
    display_name: &'a str,
    created_at: String,
    updated_at: String,
    last_message_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<MessageBody<'a>>>,
    unread_count: u64,
    last_message: Option<LastMessageBody<'a>>,
}

impl<'a> RoomBody<'a> {
    pub(super) fn new(room: &'a SupportConversation, messages: Option<Vec<MessageBody<'a>>>) -> Self {
        let SupportConversation { summary, customer, profile } = room;
        Self {
            id: room_id(summary.conversation.uuid),
            customer_name: customer_name(customer),
            customer_email: customer_email(customer, profile),
            customer_phone: &profile.phone,
            customer_session: "",
            user: (!customer.email.is_empty()).then_some(customer.number),
            status: summary.status.shown(),
            display_name: &customer.name,
            created_at: timestamps::rest(summary.conversation.created_at),
            updated_at: timestamps::rest(summary.updated_at),
            last_message_at: timestamps::rest(summary.updated_at),
            messages,
            unread_count: summary.side(Side::Desk).unread,
            last_message: LastMessageBody::of(summary, timestamps::rest),
        }
    }
}

/// A room in frames.
#[derive(Serialize)]
pub(super) struct RoomFrame<'a> {
    id: String,
    customer_name: &'a str,
    customer_email: &'a str,
    status: &'static str,
    created_at: String,
    last_message_at: String,
    #[serde(flatten)]
    listed: Option<ListedFrame<'a>>,
}

/// Fields that rooms have in the agents' overview only. Panels replace the list that they fetched with it.
#[derive(Serialize)]
struct ListedFrame<'a> {
    unread_count: u64,
    last_message: Option<LastMessageBody<'a>>,
}

impl<'a> RoomFrame<'a> {
    fn listed(room: &'a SupportConversation) -> Self {
        let unread_count = room.summary.side(Side::Desk).unread;
        let last_message = LastMessageBody::of(&room.summary, timestamps::frame);
        Self::new(room, Some(ListedFrame { unread_count, last_message }))
    }

    fn new(room: &'a SupportConversation, listed: Option<ListedFrame<'a>>) -> Self {
        let SupportConversation { summary, customer, profile } = room;
        Self {
            id: room_id(summary.conversation.uuid),
            customer_name: customer_name(customer),
            customer_email: customer_email(customer, profile),
            status: summary.status.shown(),
            created_at: timestamps::frame(summary.conversation.created_at),
            last_message_at: timestamps::frame(summary.updated_at),
            listed,
        }
    }
}

fn customer_name(customer: &Person) -> &str {
    if customer.email.is_empty() && customer.name == ANONYMOUS { "" } else { &customer.name }
}

fn customer_email<'a>(customer: &'a Person, profile: &'a Profile) -> &'a str {
    if customer.email.is_empty() { &profile.contact_email } else { &customer.email }
}

/// A frame from the server.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerFrame<'a> {
    RoomInfo {
        room: RoomFrame<'a>,
    },
    ChatMessage {
        message: MessageBody<'a>,
    },
    RoomList {
        rooms: Vec<RoomFrame<'a>>,
    },
    NewCustomerMessage {
        room_id: String,
        message: MessageBody<'a>,
    },
    AdminMessageSent {
        room_id: String,
        message: MessageBody<'a>,
    },
    Pong {},
    Error {
        message: &'a str,
        code: &'static str,
        #[serde(rename = "retryAfterMs", skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

impl ServerFrame<'_> {
    /// The frame as text; see [`frame_text`].
    pub(super) fn text(&self) -> Option<String> {
        frame_text(self)
    }
}

/// `room_info`, the first frame in a room.
pub(super) fn room_info(room: &SupportConversation) -> ServerFrame<'_> {
    ServerFrame::RoomInfo { room: RoomFrame::new(room, None) }
}

/// `room_list`, the agents' overview.
pub(super) fn room_list(rooms: &[SupportConversation]) -> Option<String> {
    ServerFrame::RoomList { rooms: rooms.iter().map(RoomFrame::listed).collect() }.text()
}

/// The frame for a socket in a room; `None` if the dialect has none for this event.
pub(super) fn encode_for_room(event: &DeskEvent, viewer: Viewer<'_>) -> Option<String> {
    match event {
        DeskEvent::Entry(event) => match &event.entry.kind {
            EntryKind::Message(_) => {
                let message = MessageBody::new(event, viewer, false, timestamps::frame)?;
                ServerFrame::ChatMessage { message }.text()
            }
            EntryKind::Read { .. }
            | EntryKind::StatusChanged { .. }
            | EntryKind::Edited { .. }
            | EntryKind::Deleted { .. } => None,
        },
        DeskEvent::Typing(_) | DeskEvent::Presence(_) | DeskEvent::Status(_) => None,
    }
}

/// The frame for an agent's socket; `None` if the dialect has none for this event.
pub(super) fn encode_for_agent(event: &DeskEvent, server_url: &str) -> Option<String> {
    let viewer = Viewer { desk: DeskName::Colleague, server_url };
    match event {
        DeskEvent::Entry(event) => match &event.entry.kind {
            EntryKind::Message(_) => {
                let message = MessageBody::new(event, viewer, false, timestamps::frame)?;
                let room_id = room_id(event.parties.conversation.uuid);
                match event.entry.side {
                    Side::Customer => ServerFrame::NewCustomerMessage { room_id, message }.text(),
                    Side::Desk => ServerFrame::AdminMessageSent { room_id, message }.text(),
                }
            }
            EntryKind::Read { .. }
            | EntryKind::StatusChanged { .. }
            | EntryKind::Edited { .. }
            | EntryKind::Deleted { .. } => None,
        },
        DeskEvent::Typing(_) | DeskEvent::Presence(_) | DeskEvent::Status(_) => None,
    }
}

/// Whether an event changes the agents' overview.
pub(super) fn changes_overview(event: &DeskEvent) -> bool {
    match event {
        DeskEvent::Entry(event) => match &event.entry.kind {
            EntryKind::Message(_) => event.entry.side == Side::Customer,
            EntryKind::StatusChanged { .. } => true,
            EntryKind::Deleted { target } => target.side == Side::Customer,
            EntryKind::Read { .. } | EntryKind::Edited { .. } => false,
        },
        DeskEvent::Typing(_) | DeskEvent::Presence(_) | DeskEvent::Status(_) => false,
    }
}

/// An account.
#[derive(Serialize)]
pub(super) struct UserBody<'a> {
    id: u64,
    username: &'a str,
    email: &'a str,
    first_name: String,
    last_name: String,
    is_staff: bool,
    is_superuser: bool,
    user_type: &'static str,
}

impl<'a> UserBody<'a> {
    pub(super) fn new(user: &'a User) -> Self {
        let NameParts { first, last } = NameParts::of(&user.name, user.profile.name_parts.as_ref());
        let is_staff = match user.role {
            Role::Agent | Role::Admin => true,
            Role::Customer => false,
        };
        Self {
            id: user.number,
            username: username(user),
            email: user.email_text(),
            first_name: first,
            last_name: last,
            is_staff,
            is_superuser: is_superuser(user),
            user_type: if is_staff { "Admin" } else { "User" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_frames_are_ignored() {
        for text in [
            "",
            "junk",
            "[]",
            "1",
            "null",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"chat_message"}"#,
            r#"{"type":"chat_message","content":5}"#,
            r#"{"type":"chat_message","content":"  "}"#,
            r#"{"type":"x"}"#,
            r#"{"type":"admin_message","room_id":"abc","content":"hi"}"#,
            r#"{"type":"admin_message","content":"hi"}"#,
        ] {
            assert_eq!(ClientFrame::read(text), None, "{text}");
        }
        let message = ClientFrame::read(r#"{"type":"chat_message","content":" hi "}"#);
        assert_eq!(message, Some(ClientFrame::ChatMessage { content: " hi ".into() }));
    }
}
