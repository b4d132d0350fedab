//! Names and shapes of the portal's dialect: flat frames, bare arrays.
#![deny(clippy::wildcard_enum_match_arm)]

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::desk::conversations::SupportConversation;
use crate::desk::history::AnnotatedMessages;
use crate::domain::event::SeenPerson;
use crate::domain::{
    DeskEvent, EntryEvent, EntryKind, Message, NameParts, Person, Seq, Side, Summary, Timestamp, User, UserId,
};
use crate::faces::channels::send_queue::frame_text;
use crate::faces::channels::timestamps;
use crate::json;

/// How many characters of the last message a list shows.
const EXCERPT: usize = 100;

/// Response to a frame that is not JSON.
pub(super) const INVALID_JSON: &str = r#"{"error": "Invalid JSON"}"#;

/// A frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientFrame {
    /// `{"type":"chat_message","message"}`; the type may be missing.
    ChatMessage(String),
    /// `{"type":"typing","is_typing"}`.
    Typing(bool),
    /// `{"type":"read_receipt","message_id"}`.
    ReadReceipt(u64),
    /// Anything else.
    Ignored,
}

impl ClientFrame {
    /// Reads a frame; `None` if it is not JSON.
    pub(super) fn read(text: &str) -> Option<Self> {
        let frame: Value = json::read(text.as_bytes()).ok()?;
        if !frame.is_object() {
            return Some(Self::Ignored);
        }
        let kind = match frame.get("type") {
            None => "chat_message",
            Some(kind) => kind.as_str().unwrap_or_default(),
        };
        let read = match kind {
            "chat_message" => {
                let text = frame.get("message").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
                text.map(|text| Self::ChatMessage(text.to_owned()))
            }
            "typing" => Some(Self::Typing(frame.get("is_typing").and_then(Value::as_bool).unwrap_or_default())),
            "read_receipt" => frame.get("message_id").and_then(number).map(Self::ReadReceipt),
            _ => None,
        };
        Some(read.unwrap_or(Self::Ignored))
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// `user` or `admin`.
const fn sender_type(side: Side) -> &'static str {
    match side {
        Side::Customer => "user",
        Side::Desk => "admin",
    }
}

fn name(person: &Person) -> &str {
    if person.name.is_empty() { &person.email } else { &person.name }
}

/// Returns the URL of a message's attachment.
pub(super) type Link<'a> = &'a dyn Fn(&EntryEvent) -> Option<String>;

/// A frame from the server.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerFrame<'a> {
    ChatMessage {
        message_id: u64,
        message: &'a str,
        sender_id: u64,
        sender_type: &'static str,
        sender_name: &'a str,
        created_at: String,
        is_read: bool,
        attachment: Option<String>,
        attachment_name: Option<&'a str>,
        reply_to: Option<ReplyBody<'a>>,
    },
    Typing {
        user_id: u64,
        user_name: &'a str,
        is_typing: bool,
    },
    ReadReceipt {
        message_id: u64,
        read_by: u64,
    },
    UserStatus {
        user_id: u64,
        status: &'static str,
    },
}

/// A read mark. Its frame names the message that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadMark {
    pub(super) reader: u64,
    pub(super) of_side: Side,
    pub(super) up_to: Seq,
}

/// An event, encoded as far as possible without the store.
pub(super) enum Encoded {
    Frame(Arc<String>),
    ReadMark(ReadMark),
    /// A message that replies to the message with this number. Its frame quotes that message.
    Reply(Arc<EntryEvent>, u64),
}

/// The frame for a socket in this customer's room; `None` if the event does not concern it, or the dialect has no frame for it.
pub(super) fn encode(event: &DeskEvent, viewer: &Person, customer: UserId, link: Link<'_>) -> Option<Encoded> {
    match event {
        DeskEvent::Entry(event) => encode_entry(event, viewer, link),
        DeskEvent::Typing(change) => {
            let SeenPerson { shown, .. } = change.typist_seen_by(viewer);
            let (user_id, user_name) = (shown.number, name(shown));
            frame(&ServerFrame::Typing { user_id, user_name, is_typing: change.is_typing })
        }
        DeskEvent::Presence(change) => {
            // A customer sees the desk as one person; an agent sees the room's customer and themselves.
            let concerns = viewer.id == customer || change.user == customer || change.user == viewer.id;
            let status = if change.is_online { "online" } else { "offline" };
            concerns.then(|| frame(&ServerFrame::UserStatus { user_id: change.number, status })).flatten()
        }
        DeskEvent::Status(_) => None,
    }
}

fn frame(frame: &ServerFrame<'_>) -> Option<Encoded> {
    frame_text(frame).map(|text| Encoded::Frame(Arc::new(text)))
}

fn encode_entry(event: &Arc<EntryEvent>, viewer: &Person, link: Link<'_>) -> Option<Encoded> {
    let author = event.author_and_addressee(viewer).0.shown;
    match &event.entry.kind {
        EntryKind::Message(message) => match message.reply_to() {
            Some(number) => Some(Encoded::Reply(event.clone(), number)),
            None => self::message(event, viewer, None, link).map(|text| Encoded::Frame(Arc::new(text))),
        },
        EntryKind::Read { up_to } => {
            let of_side = event.entry.side.other();
            Some(Encoded::ReadMark(ReadMark { reader: author.number, of_side, up_to: *up_to }))
        }
        // The dialect has no frames for these: a page sees the change when it fetches the messages again.
        EntryKind::StatusChanged { .. } | EntryKind::Edited { .. } | EntryKind::Deleted { .. } => None,
    }
}

/// The frame of a message; `None` if the entry is not a message. `answered`: the message that it replies to.
pub(super) fn message(
    event: &EntryEvent,
    viewer: &Person,
    answered: Option<&EntryEvent>,
    link: Link<'_>,
) -> Option<String> {
    let author = event.author_and_addressee(viewer).0.shown;
    let message = event.entry.message()?;
    frame_text(&ServerFrame::ChatMessage {
        message_id: message.number,
        message: event.text()?,
        sender_id: author.number,
        sender_type: sender_type(event.entry.side),
        sender_name: name(author),
        created_at: timestamps::frame(event.entry.at),
        is_read: false,
        attachment: link(event),
        attachment_name: message.attachment().map(|attachment| attachment.name.as_str()),
        reply_to: answered.and_then(|answered| ReplyBody::new(answered, viewer)),
    })
}

pub(super) fn read_receipt(mark: ReadMark, message: &Message) -> Option<String> {
    frame_text(&ServerFrame::ReadReceipt { message_id: message.number, read_by: mark.reader })
}

#[derive(Serialize)]
struct LastMessageBody {
    message: String,
    sender_type: &'static str,
    created_at: String,
}

/// An account.
#[derive(Serialize)]
pub(super) struct UserBody<'a> {
    first_name: String,
    last_name: String,
    email: &'a str,
    phone_number: Option<&'a str>,
    date_of_birth: Option<String>,
}

impl<'a> UserBody<'a> {
    pub(super) fn new(user: &'a User) -> Self {
        let profile = &user.profile;
        let NameParts { first, last } = NameParts::of(&user.name, profile.name_parts.as_ref());
        Self {
            first_name: first,
            last_name: last,
            email: user.email_text(),
            phone_number: Some(profile.phone.as_str()).filter(|phone| !phone.is_empty()),
            date_of_birth: profile.birth_date.map(|date| date.to_string()),
        }
    }
}

/// An account as its owner's profile page shows it.
#[derive(Serialize)]
pub(super) struct OwnUserBody<'a> {
    id: u64,
    full_name: &'a str,
    is_verified: bool,
    user_type: &'static str,
    created_at: String,
    #[serde(flatten)]
    user: UserBody<'a>,
}

impl<'a> OwnUserBody<'a> {
    pub(super) fn new(user: &'a User) -> Self {
        let side = if user.role.is_agent() { Side::Desk } else { Side::Customer };
        Self {
            id: user.number,
            full_name: &user.name,
            // Accounts that are not verified have no token.
            is_verified: true,
            user_type: sender_type(side),
            created_at: timestamps::rest(user.created_at),
            user: UserBody::new(user),
        }
    }
}

/// A room.
#[derive(Serialize)]
pub(super) struct RoomBody<'a> {
    id: u64,
    user: u64,
    user_email: &'a str,
    user_name: &'a str,
    is_active: bool,
    user_unread_count: u64,
    admin_unread_count: u64,
    last_message: Option<LastMessageBody>,
    unread_count: u64,
    created_at: String,
    updated_at: String,
}

impl<'a> RoomBody<'a> {
    /// The room as one of its sides sees it.
    pub(super) fn new(room: &'a SupportConversation, side: Side) -> Self {
        let SupportConversation { summary, customer, profile } = room;
        let last_message = summary.last_message.as_ref().map(|last| LastMessageBody {
            message: last.body.as_str().chars().take(EXCERPT).collect(),
            sender_type: sender_type(last.side),
            created_at: timestamps::rest(last.at),
        });
        Self {
            id: summary.conversation.number,
            user: customer.number,
            user_email: if customer.email.is_empty() { &profile.contact_email } else { &customer.email },
            user_name: name(customer),
            is_active: summary.status != crate::domain::Status::Closed,
            user_unread_count: summary.side(Side::Customer).unread,
            admin_unread_count: summary.side(Side::Desk).unread,
            last_message,
            unread_count: summary.side(side).unread,
            created_at: timestamps::rest(summary.conversation.created_at),
            updated_at: timestamps::rest(summary.updated_at),
        }
    }
}

#[derive(Serialize)]
struct ReplyBody<'a> {
    id: u64,
    message: &'a str,
    sender_type: &'static str,
    sender_name: &'a str,
    created_at: String,
}

impl<'a> ReplyBody<'a> {
    /// `None` if that message was deleted.
    fn new(answered: &'a EntryEvent, viewer: &'a Person) -> Option<Self> {
        Some(Self {
            id: answered.entry.message()?.number,
            message: answered.text()?,
            sender_type: sender_type(answered.entry.side),
            sender_name: name(answered.author_and_addressee(viewer).0.shown),
            created_at: timestamps::rest(answered.entry.at),
        })
    }
}

/// A message.
#[derive(Serialize)]
pub(super) struct MessageBody<'a> {
    pub(super) id: u64,
    room: u64,
    sender: u64,
    sender_type: &'static str,
    sender_name: &'a str,
    sender_email: &'a str,
    message: &'a str,
    reply_to: Option<ReplyBody<'a>>,
    attachment: Option<String>,
    attachment_name: Option<&'a str>,
    pub(super) is_read: bool,
    pub(super) read_at: Option<String>,
    created_at: String,
    updated_at: String,
}

impl<'a> MessageBody<'a> {
    /// `None` if the entry is not a message. `answered`: the message that it replies to.
    pub(super) fn new(
        event: &'a EntryEvent,
        viewer: &'a Person,
        answered: Option<&'a EntryEvent>,
        link: Link<'_>,
    ) -> Option<Self> {
        let message = event.entry.message()?;
        let author = event.author_and_addressee(viewer).0.shown;
        let reply_to = answered.and_then(|answered| ReplyBody::new(answered, viewer));
        Some(Self {
            id: message.number,
            room: event.parties.conversation.number,
            sender: author.number,
            sender_type: sender_type(event.entry.side),
            sender_name: name(author),
            sender_email: &author.email,
            message: event.text()?,
            reply_to,
            attachment: link(event),
            attachment_name: message.attachment().map(|attachment| attachment.name.as_str()),
            is_read: false,
            read_at: None,
            created_at: timestamps::rest(event.entry.at),
            updated_at: timestamps::rest(message.edited_at().unwrap_or(event.entry.at)),
        })
    }

    pub(super) fn read_at(self, at: Option<Timestamp>) -> Self {
        Self { is_read: true, read_at: at.map(timestamps::rest), ..self }
    }
}

/// All messages of a log.
pub(super) fn messages<'a>(
    log: &'a AnnotatedMessages,
    summary: &Summary,
    viewer: &'a Person,
    link: Link<'_>,
) -> Vec<MessageBody<'a>> {
    let show = |event: &'a EntryEvent| {
        let answered = event.entry.message()?.reply_to().and_then(|number| log.answered.get(&number));
        let body = MessageBody::new(event, viewer, answered, link)?;
        let is_read = event.entry.seq <= summary.side(event.entry.side.other()).read;
        Some(if is_read { body.read_at(log.read_at(event)) } else { body })
    };
    log.messages.iter().filter_map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_frames_that_are_not_json_get_an_error() {
        for text in ["", "junk", "{", "{]"] {
            assert_eq!(ClientFrame::read(text), None, "{text}");
        }
        for text in ["[]", "1", "null", r#"{"type":"ping"}"#, r#"{"type":5,"message":"x"}"#, r#"{"message":" "}"#] {
            assert_eq!(ClientFrame::read(text), Some(ClientFrame::Ignored), "{text}");
        }
        let typeless = ClientFrame::read(r#"{"message":"hi"}"#);
        assert_eq!(typeless, Some(ClientFrame::ChatMessage("hi".into())));
        assert_eq!(ClientFrame::read(r#"{"type":"typing"}"#), Some(ClientFrame::Typing(false)));
    }
}
