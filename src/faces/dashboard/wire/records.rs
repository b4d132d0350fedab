//! People, messages and conversations, in events and in REST responses.

use std::borrow::Cow;

use serde::Serialize;

use crate::desk::conversations::ListedConversation;
use crate::domain::event::SeenPerson;
use crate::domain::{ClientMessageId, EntryEvent, Message, MessageStatus, Person};

/// A person.
///
/// Shape: `{"_id": "6b01...", "name": "Ann", "email": "ann@example.com"}`
#[derive(Serialize)]
pub(in crate::faces::dashboard) struct PersonBody<'a> {
    #[serde(rename = "_id")]
    id: String,
    name: &'a str,
    email: &'a str,
}

impl<'a> From<SeenPerson<'a>> for PersonBody<'a> {
    fn from(seen: SeenPerson<'a>) -> Self {
        Self { id: seen.id.to_string(), name: &seen.shown.name, email: &seen.shown.email }
    }
}

/// A message: in `receive-message`, `message-sent` and `resume`, and in the history.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::faces::dashboard) struct MessageBody<'a> {
    #[serde(rename = "_id")]
    id: String,
    sender: PersonBody<'a>,
    receiver: PersonBody<'a>,
    /// Missing if it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Cow<'a, str>>,
    created_at: String,
    /// In the history only.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<String>,
    /// In the history only; always 0.
    #[serde(rename = "__v", skip_serializing_if = "Option::is_none")]
    version: Option<u8>,
    read: bool,
    seq: u64,
    conversation_id: String,
    /// For connections of the author only.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    /// The status of the message, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

impl<'a> MessageBody<'a> {
    /// A message in an event for this viewer, whose client reaches this server at `server_url`.
    pub(super) fn sent(
        event: &'a EntryEvent,
        message: &'a Message,
        viewer: &'a Person,
        status: Option<MessageStatus>,
        server_url: &str,
    ) -> Self {
        let is_own = event.author.id == viewer.id;
        let client_id = message.client_id.as_ref().filter(|_| is_own);
        Self {
            client_message_id: client_id.map(ClientMessageId::as_str),
            status: status.map(MessageStatus::word),
            ..Self::new(event, message, viewer, server_url)
        }
    }

    /// A message in a REST response; `None` if the entry is not a message.
    pub(in crate::faces::dashboard) fn stored(
        event: &'a EntryEvent,
        viewer: &'a Person,
        status: MessageStatus,
        server_url: &str,
    ) -> Option<Self> {
        let message = event.entry.message()?;
        let updated_at = message.revision.as_ref().map_or(event.entry.at, |revision| revision.at);
        Some(Self {
            updated_at: Some(updated_at.to_string()),
            version: Some(0),
            read: status == MessageStatus::Read,
            status: Some(status.word()),
            ..Self::new(event, message, viewer, server_url)
        })
    }

    fn new(event: &'a EntryEvent, message: &'a Message, viewer: &'a Person, server_url: &str) -> Self {
        let (author, addressee) = event.author_and_addressee(viewer);
        Self {
            id: message.id.to_string(),
            sender: PersonBody::from(author),
            receiver: PersonBody::from(addressee),
            message: event.text_with_link(server_url),
            created_at: event.entry.at.to_string(),
            updated_at: None,
            edited_at: message.edited_at().map(|at| at.to_string()),
            deleted_at: message.deleted_at().map(|at| at.to_string()),
            version: None,
            read: false,
            seq: event.entry.seq.get(),
            conversation_id: event.entry.conversation.to_string(),
            client_message_id: None,
            status: None,
        }
    }
}

/// A conversation in an agent's list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::faces::dashboard) struct ConversationBody<'a> {
    /// The other person's id, like `user_id`.
    #[serde(rename = "_id")]
    id: String,
    user_id: String,
    name: &'a str,
    email: &'a str,
    last_message: &'a str,
    last_message_time: String,
    unread_count: u64,
    conversation_id: String,
    last_seq: u64,
    status: &'static str,
}

impl<'a> From<&'a ListedConversation> for ConversationBody<'a> {
    fn from(listed: &'a ListedConversation) -> Self {
        let user_id = listed.other.id.to_string();
        Self {
            id: user_id.clone(),
            user_id,
            name: &listed.other.name,
            email: &listed.other.email,
            last_message: listed.last_message.body.as_str(),
            last_message_time: listed.last_message.at.to_string(),
            unread_count: listed.unread,
            conversation_id: listed.summary.conversation.id.to_string(),
            last_seq: listed.summary.last_seq.get(),
            status: listed.summary.status.shown(),
        }
    }
}
