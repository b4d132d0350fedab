//! `/api/chat/messages/...`: messages of a room.

use std::collections::HashMap;

use axum::extract::{DefaultBodyLimit, FromRequest as _, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::requested_room::{RequestedMessage, access_room, access_room_to, access_room_to_send, linker, shown};
use super::wire::MessageBody;
use super::{revise, upload};
use crate::desk::conversations::ConversationAccess;
use crate::desk::history::Range;
use crate::desk::messages::MarkRead;
use crate::desk::messages::SendMessage;
use crate::domain::MessageExtras;
use crate::faces::channels::body::Fields;
use crate::faces::channels::caller::{self, Caller};
use crate::faces::channels::reply::Problem;
use crate::faces::channels::{self, Channels};
use crate::net::ServerUrl;

/// Rooms, and messages per room, in the list of an agent who names no room.
const ROOMS: usize = 50;
const OF_EACH: usize = 100;

pub(super) fn routes() -> Router<Channels> {
    Router::new()
        .route("/api/chat/messages/", get(list).post(send).layer(DefaultBodyLimit::disable()))
        .route("/api/chat/messages/room_messages/", get(room_messages))
        .route(
            "/api/chat/messages/{message}/",
            get(message).put(revise::change).patch(revise::change).delete(revise::delete),
        )
        .route("/api/chat/messages/{message}/mark_read/", post(mark_read))
}

type Parameters = Query<HashMap<String, String>>;

/// The newest messages of a room, oldest first. `before=<id>`: those before a message; `limit=`: at most so many.
async fn log_of(
    channels: &Channels,
    access: &ConversationAccess,
    server_url: &ServerUrl,
    parameters: &HashMap<String, String>,
) -> Result<Vec<Value>, Problem> {
    let number = |name: &str| parameters.get(name).and_then(|text| text.parse::<u64>().ok());
    let limit = number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let log = match number("before") {
        Some(before) => channels.desk.history.fetch(access, Range::BeforeMessage(before), limit).await?.messages,
        None => channels.desk.history.fetch(access, Range::Newest, limit).await?.messages,
    };
    shown(channels, access, server_url, log).await
}

/// `?room_id=`: the messages of a room. Without it, those of the caller's own room; for an agent, those of the rooms that changed last.
async fn list(
    State(channels): State<Channels>,
    Caller(user): Caller,
    Query(parameters): Parameters,
    server_url: ServerUrl,
) -> Result<Json<Value>, Problem> {
    if let Some(room) = parameters.get("room_id") {
        let access = access_room_to(&channels, &user, room, "view this").await?;
        return Ok(Json(log_of(&channels, &access, &server_url, &parameters).await?.into()));
    }
    if !user.role.is_agent() {
        let (access, _) = channels.desk.conversations.own_conversation(&caller::person(&user)).await?;
        return Ok(Json(log_of(&channels, &access, &server_url, &parameters).await?.into()));
    }
    let mut all = Vec::new();
    for room in channels.desk.conversations.support_conversations(0, ROOMS).await?.0 {
        let access = access_room(&channels, &user, room.summary.conversation.number).await?;
        let log = channels.desk.history.fetch(&access, Range::Newest, OF_EACH).await?.messages;
        all.extend(shown(&channels, &access, &server_url, log).await?);
    }
    Ok(Json(Value::Array(all)))
}

async fn room_messages(
    State(channels): State<Channels>,
    Caller(user): Caller,
    Query(parameters): Parameters,
    server_url: ServerUrl,
) -> Result<Json<Value>, Problem> {
    let room = parameters.get("room_id").filter(|room| !room.is_empty());
    let room = room.ok_or_else(|| Problem::error(StatusCode::BAD_REQUEST, "room_id is required"))?;
    let access = access_room_to(&channels, &user, room, "view this").await?;
    let log = log_of(&channels, &access, &server_url, &parameters).await?;
    Ok(Json(json!({"room_id": access.summary.conversation.number, "messages": log})))
}

/// A message to send.
#[derive(Default)]
pub(super) struct ToSend {
    pub(super) room: Option<String>,
    pub(super) text: String,
    pub(super) reply_to: Option<u64>,
}

impl From<&Fields> for ToSend {
    fn from(fields: &Fields) -> Self {
        Self {
            room: fields.number("room_id").map(|room| room.to_string()),
            text: fields.text("message").unwrap_or_default().to_owned(),
            reply_to: fields.number("reply_to"),
        }
    }
}

/// `{room_id, message, reply_to?}`, or a form with a file as `attachment`: 201 with the message. A file without a text
/// gets its name as the text.
async fn send(
    State(channels): State<Channels>,
    Caller(user): Caller,
    server_url: ServerUrl,
    request: Request,
) -> Result<Response, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default();
    let (mut to_send, received) = if content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        upload::receive(&channels, &user, request).await?
    } else {
        (ToSend::from(&Fields::from_request(request, &channels).await?), None)
    };
    let required = || Problem::error(StatusCode::BAD_REQUEST, "room_id and message are required");
    let mut extras = MessageExtras::default();
    if let Some(received) = &received {
        extras.attachment = Some(received.attachment.clone());
        if to_send.text.trim().is_empty() {
            to_send.text.clone_from(&received.attachment.name);
        }
    }
    if to_send.text.trim().is_empty() {
        return Err(required());
    }
    let room = to_send.room.as_deref().ok_or_else(required)?;
    let access = access_room_to_send(&channels, &user, room).await?;
    let conversation = access.summary.conversation.id;
    let answered = match to_send.reply_to {
        None => None,
        Some(number) => {
            let answered = channels.desk.history.message(conversation, number).await?;
            let none = || Problem::error(StatusCode::NOT_FOUND, "Reply target message not found");
            Some(answered.ok_or_else(none)?)
        }
    };
    extras.reply_to = to_send.reply_to;
    // Before the message is stored, so that the message has its file even if the client disconnects in between.
    let published = match received {
        Some(received) => Some(received.publish().await?),
        None => None,
    };
    let pending = channels.pending_responses.begin();
    let ask = channels::message(access.person.clone(), conversation, to_send.text, pending.origin);
    let ask = SendMessage { extras, ..ask };
    let outcome = channels.desk.messages.send_and_wait(ask).await;
    if let (Err(error), Some(published)) = (&outcome, published)
        && error.is_final()
    {
        published.delete().await;
    }
    let link = linker(&server_url);
    let body = json!(MessageBody::new(&outcome?.event, &access.person, answered.as_ref(), &link));
    Ok(pending.until_sent((StatusCode::CREATED, Json(body)).into_response()))
}

async fn message(message: RequestedMessage) -> Result<Json<Value>, Problem> {
    message.body().await
}

/// Marks the other side's message, and all before it, as read.
async fn mark_read(mut message: RequestedMessage) -> Result<Json<Value>, Problem> {
    let RequestedMessage { channels, access, event, .. } = &message;
    if event.entry.side != access.side {
        let what = MarkRead::In(event.entry.conversation, Some(event.entry.seq));
        channels.desk.messages.mark_read(&access.person, what, None).await?;
        message.reload().await?;
    }
    message.body().await
}
