//! Names and shapes of this face: what clients send, and what they are answered.
//!
//! Source: docs/PROTOCOL.md#socketio. Reading is tolerant, as other frontends of the same event family need it; what is not
//! understood is refused with a code. Identity is never read from a payload.

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

/// Events of the server.
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

/// Said to a client that shows no token.
pub(super) const NO_TOKEN: &str = "No token provided";

/// A stable word for what is wrong: clients branch on it.
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

/// `error` — something a client sent was refused.
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

    /// Something is wrong with a message: the default dialect has one sentence for all of these, and says why beside it.
    pub(super) fn not_sent(code: ErrorCode, why: impl Into<String>) -> Self {
        Self { error: Some(why.into()), ..Self::new(code, "Failed to send message") }
    }

    /// Too much in too short a time.
    pub(super) fn limited(limited: RateLimited, message: &'static str) -> Self {
        Self { retry_after_ms: Some(limited.retry_after_ms()), ..Self::new(ErrorCode::RateLimited, message) }
    }

    /// Whoever it is is shut out for a time.
    pub(super) fn banned(banned: StillBanned) -> Self {
        Self { retry_after_ms: Some(banned.0.retry_after_ms()), ..Self::new(ErrorCode::Banned, "Account is banned") }
    }

    /// The same as an answer.
    pub(super) fn as_answer(&self) -> Refusal<'_> {
        Refusal { ok: false, success: false, retryable: self.code.is_retryable(), problem: self }
    }
}

/// The answer to what was refused: `{"ok": false, "success": false, "code": ..., "message": ..., "retryable": ...}`.
#[derive(Debug, Serialize)]
pub(super) struct Refusal<'a> {
    ok: bool,
    success: bool,
    retryable: bool,
    #[serde(flatten)]
    problem: &'a Problem,
}

/// The answer to what was done: `{"ok": true, "success": true}` and what belongs to it.
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

/// Nothing belongs to it.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

/// `authenticated` — whether the client is known now.
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

/// What the answer to an `authenticate` that succeeded has besides.
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

/// `caught-up`: everything that was missed has been sent. Told to pages that take part in recovery, for the offset that goes with
/// it.
///
/// Shape: `{}`
#[derive(Debug, Serialize)]
pub(super) struct CaughtUp {}

/// `server-stopping`: the connection is about to end, and the client shall come back after so long.
///
/// Shape: `{"comeBackAfterMs": 420}`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerStopping {
    come_back_after_ms: u64,
}

impl ServerStopping {
    pub(super) fn new(come_back: Duration) -> Self {
        Self { come_back_after_ms: u64::try_from(come_back.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// What a client asks for.
#[derive(Debug)]
pub(super) enum ClientEvent {
    Authenticate(Authenticate),
    SendMessage(Result<MessageToSend, Problem>),
    EditMessage(Result<MessageEdit, Problem>),
    /// `None` if it names no message.
    DeleteMessage(Option<MessageId>),
    /// `None` if it is no such thing.
    Received(Option<(ConversationId, Seq)>),
    MarkRead(Option<MarkRead>),
    Typing {
        to: Option<UserId>,
        is_typing: bool,
    },
    Resume(Option<BTreeMap<ConversationId, Seq>>),
    /// By its name.
    Unknown(String),
}

/// `authenticate` — who the client is: a bare token, `"Bearer " + token`, or `{"token": ..., "catchUp": true, "receipts": false}`.
#[derive(Debug)]
pub(super) struct Authenticate {
    /// `None` if nothing was shown, or something empty.
    pub(super) token: Option<String>,
    /// Whether missed messages shall be replayed; a client that resumes says `false`.
    pub(super) catch_up: bool,
    /// Whether the client wants to be told how far messages have come.
    pub(super) receipts: bool,
}

/// `send-message` — to say something.
///
/// Shape: `{"receiverId": "6b01...", "message": "hi", "clientMessageId": "m1"}`, or `conversationId` in place of `receiverId`.
#[derive(Debug)]
pub(super) struct MessageToSend {
    pub(super) to: Addressee,
    pub(super) text: String,
    pub(super) client_id: Option<ClientMessageId>,
}

/// `edit-message` — to have a message say something else.
///
/// Shape: `{"messageId": "6b01...", "message": "hi!"}`.
#[derive(Debug)]
pub(super) struct MessageEdit {
    pub(super) message: MessageId,
    pub(super) text: String,
}

impl ClientEvent {
    /// Reads an event: a JSON array of its name and its arguments. `Err` if it is no such thing.
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
