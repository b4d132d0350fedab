//! Parses payloads. Also accepts the field names of other frontends, below.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Authenticate, ErrorCode, MessageEdit, MessageToSend, Problem};
use crate::auth::without_bearer;
use crate::desk::messages::Addressee;
use crate::desk::messages::MarkRead;
use crate::domain::message::ClientMessageIdError;
use crate::domain::{ConversationId, Seq, UserId};

pub(in super::super) fn read_authenticate(argument: &Value) -> Authenticate {
    let credential = match argument {
        Value::Object(fields) => first_of(fields, &CREDENTIAL).unwrap_or(&Value::Null),
        other => other,
    };
    let token = match credential {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        Value::String(text) => Some(without_bearer(text).to_owned()),
        // Present, but not a string: replaced by a placeholder, which is rejected as an invalid token.
        Value::Bool(true) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some("?".into()),
    };
    Authenticate { token, catch_up: argument["catchUp"] != false, receipts: argument["receipts"] == true }
}

pub(super) fn read_message(argument: &Value) -> Result<MessageToSend, Problem> {
    let missing = || Problem::new(ErrorCode::Invalid, "Receiver ID and message are required");
    let Value::Object(fields) = argument else {
        return Err(Problem::not_sent(ErrorCode::Invalid, "the payload must be an object"));
    };
    let text = first_of(fields, &TEXT).filter(|text| is_truthy(text)).ok_or_else(missing)?;
    let to = match (first_of(fields, &RECEIVER), fields.get("conversationId")) {
        (Some(receiver), _) if is_truthy(receiver) => Addressee::User(
            read_id(receiver)
                .ok_or_else(|| Problem::not_sent(ErrorCode::Invalid, "receiverId must be an id of 24 hex digits"))?,
        ),
        (_, Some(conversation)) if is_truthy(conversation) => {
            Addressee::Conversation(read_id(conversation).ok_or_else(|| {
                Problem::not_sent(ErrorCode::Invalid, "conversationId must be an id of 24 hex digits")
            })?)
        }
        _ => return Err(missing()),
    };
    let Value::String(text) = text else {
        return Err(Problem::not_sent(ErrorCode::Invalid, "message must be a text"));
    };
    let client_id = match fields.get("clientMessageId") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(
            id.parse()
                .map_err(|error: ClientMessageIdError| Problem::not_sent(ErrorCode::Invalid, error.to_string()))?,
        ),
        Some(_) => return Err(Problem::not_sent(ErrorCode::Invalid, "clientMessageId must be a text")),
    };
    Ok(MessageToSend { to, text: text.clone(), client_id })
}

pub(super) fn read_edit(argument: &Value) -> Result<MessageEdit, Problem> {
    let invalid = |why: &'static str| Problem::new(ErrorCode::Invalid, why);
    let message = argument.get("messageId").and_then(read_id);
    let message = message.ok_or_else(|| invalid("messageId must be an id of 24 hex digits"))?;
    let text = argument.as_object().and_then(|fields| first_of(fields, &TEXT)).and_then(Value::as_str);
    let text = text.ok_or_else(|| invalid("message must be a text"))?;
    Ok(MessageEdit { message, text: text.to_owned() })
}

/// `{"conversationId": "6c02...", "seq": 17}`
pub(super) fn read_received(argument: &Value) -> Option<(ConversationId, Seq)> {
    let fields = argument.as_object()?;
    Some((read_id(fields.get("conversationId")?)?, Seq::new(fields.get("seq")?.as_u64()?)))
}

pub(super) fn read_mark(argument: &Value) -> Option<MarkRead> {
    let fields = argument.as_object()?;
    if let Some(sender) = first_of(fields, &["senderId", "sender"]) {
        return read_id(sender).map(MarkRead::From);
    }
    let up_to = match fields.get("seq") {
        None | Some(Value::Null) => None,
        Some(seq) => Some(Seq::new(seq.as_u64()?)),
    };
    read_id(fields.get("conversationId")?).map(|conversation| MarkRead::In(conversation, up_to))
}

/// `{"conversations": {"6c02...": 17}}`, or nothing for all conversations.
pub(super) fn read_resume(argument: &Value) -> Option<BTreeMap<ConversationId, Seq>> {
    let conversations = match argument {
        Value::Null => return Some(BTreeMap::new()),
        Value::Object(fields) => match fields.get("conversations") {
            None | Some(Value::Null) => return Some(BTreeMap::new()),
            Some(conversations) => conversations.as_object()?,
        },
        _ => return None,
    };
    conversations.iter().map(|(id, seq)| Some((id.parse().ok()?, Seq::new(seq.as_u64()?)))).collect()
}

const CREDENTIAL: [&str; 6] = ["token", "idToken", "accessToken", "jwt", "authorization", "Authorization"];

const TEXT: [&str; 3] = ["message", "content", "text"];

const RECEIVER: [&str; 5] = ["receiverId", "recipientId", "receiver", "to", "toUserId"];

pub(super) fn read_receiver(argument: &Value) -> Option<UserId> {
    match argument {
        Value::String(_) => read_id(argument),
        Value::Object(fields) => first_of(fields, &RECEIVER).and_then(read_id),
        _ => None,
    }
}

fn first_of<'a>(fields: &'a serde_json::Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| fields.get(*name))
}

pub(super) fn read_id<T: std::str::FromStr>(value: &Value) -> Option<T> {
    value.as_str().and_then(|text| text.parse().ok())
}

/// Truthiness in JavaScript, which the replaced server checked.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_true) => *is_true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}
