//! Names and shapes of the dashboard's events and records.
//!
//! [`encode`] encodes events; [`records`] has the people, messages and conversations in events and REST responses; `read` parses what
//! clients send. Parsing is tolerant, for other frontends of the same event family; what cannot be parsed is rejected with a code.
//! Identities are never read from a payload.
//!
//! Source: docs/PROTOCOL.md#socketio.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::desk::messages::Addressee;
use crate::desk::messages::MarkRead;
use crate::domain::{ClientMessageId, ConversationId, MessageId, Person, Seq, UserId};
use crate::json;
use crate::limits::{RateLimited, StillBanned};
pub(super) use read::read_authenticate;
use read::{read_edit, read_id, read_mark, read_message, read_received, read_receiver, read_resume};

pub(super) mod encode;
mod read;
pub(super) mod records;

/// Names of the server's events.
pub(super) mod event {
    pub(in super::super) const AUTHENTICATED: &str = "authenticated";
    pub(in super::super) const CAUGHT_UP: &str = "caught-up";
    pub(in super::super) const ERROR: &str = "error";
    pub(in super::super) const RECEIVE_MESSAGE: &str = "receive-message";
    pub(in super::super) const MESSAGE_SENT: &str = "message-sent";
    pub(in super::super) const MESSAGES_READ: &str = "messages-read";
    pub(in super::super) const MESSAGE_STATUS: &str = "message-status";
    pub(in super::super) const MESSAGE_EDITED: &str = "message-edited";
    pub(in super::super) const MESSAGE_DELETED: &str = "message-deleted";
    pub(in super::super) const CONVERSATION_STATUS: &str = "conversation-status";
    pub(in super::super) const USER_TYPING: &str = "user-typing";
    pub(in super::super) const USER_STOP_TYPING: &str = "user-stop-typing";
    pub(in super::super) const USER_ONLINE: &str = "user-online";
    pub(in super::super) const USER_OFFLINE: &str = "user-offline";
    pub(in super::super) const SERVER_STOPPING: &str = "server-stopping";
}

/// Message to a client that sends no token.
pub(super) const NO_TOKEN: &str = "No token provided";

/// A stable error code for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ErrorCode {
    Unauthenticated,
    TokenExpired,
    Banned,
    Forbidden,
    NotFound,
    Invalid,
    TooLarge,
    RateLimited,
    StorageUnavailable,
    Busy,
    ShuttingDown,
}

impl ErrorCode {
    const fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::StorageUnavailable | Self::Busy | Self::ShuttingDown)
    }
}

/// `error` — an event of the client was rejected.
///
/// Shape: `{"message": "Failed to send message", "error": "message is blank", "code": "invalid"}`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Problem {
    pub(super) message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    pub(super) code: ErrorCode,
    #[serde(rename = "retryAfterMs", skip_serializing_if = "Option::is_none")]
    pub(super) retry_after_ms: Option<u64>,
}

impl Problem {
    pub(super) const fn new(code: ErrorCode, message: &'static str) -> Self {
        Self { message, error: None, code, retry_after_ms: None }
    }

    /// A message was not sent. `message` is the same sentence for all reasons, `error` is the reason.
    pub(super) fn not_sent(code: ErrorCode, why: impl Into<String>) -> Self {
        Self { error: Some(why.into()), ..Self::new(code, "Failed to send message") }
    }

    /// A rate limit was reached.
    pub(super) fn limited(limited: RateLimited, message: &'static str) -> Self {
        Self { retry_after_ms: Some(limited.retry_after_ms()), ..Self::new(ErrorCode::RateLimited, message) }
    }

    /// The account is banned for a time.
    pub(super) fn banned(banned: StillBanned) -> Self {
        Self { retry_after_ms: Some(banned.0.retry_after_ms()), ..Self::new(ErrorCode::Banned, "Account is banned") }
    }

    /// The problem as an acknowledgement.
    pub(super) fn as_acknowledgement(&self) -> Refusal<'_> {
        Refusal { ok: false, success: false, retryable: self.code.is_retryable(), problem: self }
    }
}

/// The acknowledgement of a rejected event: `{"ok": false, "success": false, "code": ..., "message": ..., "retryable": ...}`.
#[derive(Debug, Serialize)]
pub(super) struct Refusal<'a> {
    ok: bool,
    success: bool,
    retryable: bool,
    #[serde(flatten)]
    problem: &'a Problem,
}

/// The acknowledgement of a successful event: `{"ok": true, "success": true}`, and more fields of the event.
#[derive(Debug, Serialize)]
pub(super) struct Done<T: Serialize> {
    ok: bool,
    success: bool,
    #[serde(flatten)]
    rest: T,
}

impl<T: Serialize> Done<T> {
    pub(super) const fn with(rest: T) -> Self {
        Self { ok: true, success: true, rest }
    }
}

/// No more fields.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

/// `authenticated` — whether the client is authenticated.
///
/// Shape: `{"success": true, "userId": "6b01...", "role": "user"}` or `{"success": false, "message": "Invalid token"}`.
#[derive(Debug, Serialize)]
pub(super) struct Authenticated {
    success: bool,
    #[serde(rename = "userId", skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
}

impl Authenticated {
    pub(super) fn yes(person: &Person) -> Self {
        Self { success: true, user_id: Some(person.id.to_string()), role: Some(person.role.word()), message: None }
    }

    pub(super) const fn is_success(&self) -> bool {
        self.success
    }

    pub(super) const fn no(message: &'static str) -> Self {
        Self { success: false, user_id: None, role: None, message: Some(message) }
    }
}

/// The fields of a successful `authenticate`.
#[derive(Debug, Serialize)]
pub(super) struct Identity {
    #[serde(rename = "userId")]
    user_id: String,
    role: &'static str,
}

impl From<&Person> for Identity {
    fn from(person: &Person) -> Self {
        Self { user_id: person.id.to_string(), role: person.role.word() }
    }
}

/// `caught-up` — everything missed has been sent. Emitted to pages that take part in recovery, because it carries their offset.
///
/// Shape: `{}`
#[derive(Debug, Serialize)]
pub(super) struct CaughtUp {}

/// `server-stopping` — the connection is about to close, and the client should reconnect after this time.
///
/// Shape: `{"comeBackAfterMs": 420}`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerStopping {
    come_back_after_ms: u64,
}

impl ServerStopping {
    pub(super) fn new(reconnect_after: Duration) -> Self {
        Self { come_back_after_ms: u64::try_from(reconnect_after.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// An event from a client.
#[derive(Debug)]
pub(super) enum ClientEvent {
    Authenticate(Authenticate),
    SendMessage(Result<MessageToSend, Problem>),
    EditMessage(Result<MessageEdit, Problem>),
    /// `None` if it names no message.
    DeleteMessage(Option<MessageId>),
    /// `None` if it is malformed.
    Received(Option<(ConversationId, Seq)>),
    MarkRead(Option<MarkRead>),
    Typing {
        to: Option<UserId>,
        is_typing: bool,
    },
    Resume(Option<BTreeMap<ConversationId, Seq>>),
    /// Any other event, by its name.
    Unknown(String),
}

/// `authenticate` — identifies the client: a bare token, `"Bearer " + token`, or `{"token": ..., "catchUp": true, "receipts": false}`.
#[derive(Debug)]
pub(super) struct Authenticate {
    /// `None` if it is missing or empty.
    pub(super) token: Option<String>,
    /// Whether to replay missed messages; clients that use `resume` send `false`.
    pub(super) catch_up: bool,
    /// Whether the client wants `message-status`.
    pub(super) receipts: bool,
}

/// `send-message` — sends a message.
///
/// Shape: `{"receiverId": "6b01...", "message": "hi", "clientMessageId": "m1"}`, or `conversationId` in place of `receiverId`.
#[derive(Debug)]
pub(super) struct MessageToSend {
    pub(super) to: Addressee,
    pub(super) text: String,
    pub(super) client_id: Option<ClientMessageId>,
}

/// `edit-message` — replaces the text of a message.
///
/// Shape: `{"messageId": "6b01...", "message": "hi!"}`.
#[derive(Debug)]
pub(super) struct MessageEdit {
    pub(super) message: MessageId,
    pub(super) text: String,
}

impl ClientEvent {
    /// Parses an event: a JSON array of its name and its arguments. `Err` if it is something else.
    pub(super) fn read(text: &[u8]) -> Result<Self, Problem> {
        let unreadable = || Problem::new(ErrorCode::Invalid, "Unreadable event");
        let parts: Vec<Value> = json::read(text).map_err(|_| unreadable())?;
        let [Value::String(name), arguments @ ..] = parts.as_slice() else { return Err(unreadable()) };
        let argument = arguments.first().unwrap_or(&Value::Null);
        Ok(match name.as_str() {
            "authenticate" | "auth" => Self::Authenticate(read_authenticate(argument)),
            "send-message" => Self::SendMessage(read_message(argument)),
            "edit-message" => Self::EditMessage(read_edit(argument)),
            "delete-message" => Self::DeleteMessage(argument.get("messageId").and_then(read_id)),
            "received" => Self::Received(read_received(argument)),
            "mark-read" => Self::MarkRead(read_mark(argument)),
            "typing" => Self::Typing { to: read_receiver(argument), is_typing: argument["isTyping"] != false },
            "stop-typing" => Self::Typing { to: read_receiver(argument), is_typing: false },
            "resume" => Self::Resume(read_resume(argument)),
            _ => Self::Unknown(name.clone()),
        })
    }
}

#[cfg(test)]
mod tests;
