//! The room or the message that a request names, after the caller's access to the room was checked.

use axum::Json;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::wire::{RoomBody, messages};
use crate::desk::conversations::{AccessError, ConversationAccess, ConversationName, Credential};
use crate::domain::{EntryEvent, User};
use crate::faces::channels::Channels;
use crate::faces::channels::caller::{self, Caller};
use crate::faces::channels::reply::Problem;
use crate::net::ServerUrl;

/// A room, as the caller sees it. As an extractor: the room whose number is in the path.
pub(super) struct RequestedRoom {
    pub(super) channels: Channels,
    pub(super) access: ConversationAccess,
}

impl FromRequestParts<Channels> for RequestedRoom {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, channels: &Channels) -> Result<Self, Response> {
        let (user, number) = caller_and_number(parts, channels).await?;
        let room = async {
            let number = number.parse().map_err(|_| Problem::not_found())?;
            Ok(Self { access: access_room(channels, &user, number).await?, channels: channels.clone() })
        };
        room.await.map_err(Problem::into_response)
    }
}

impl RequestedRoom {
    pub(super) async fn body(&self) -> Result<Json<Value>, Problem> {
        let room = self.channels.desk.conversations.support_conversation(&self.access).await?;
        Ok(Json(json!(RoomBody::new(&room, self.access.side))))
    }
}

/// The message whose number is in the path.
pub(super) struct RequestedMessage {
    pub(super) channels: Channels,
    pub(super) access: ConversationAccess,
    pub(super) event: EntryEvent,
    user: User,
    number: u64,
    server_url: ServerUrl,
}

impl FromRequestParts<Channels> for RequestedMessage {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, channels: &Channels) -> Result<Self, Response> {
        let (user, number) = caller_and_number(parts, channels).await?;
        let server_url = ServerUrl::of(&parts.headers, &parts.extensions);
        let find = async {
            let number = number.parse().map_err(|_| no_such_message())?;
            let (access, event) = find(channels, &user, number).await?;
            Ok(Self { channels: channels.clone(), access, event, user, number, server_url })
        };
        find.await.map_err(Problem::into_response)
    }
}

impl RequestedMessage {
    /// Reads the message again, after it was changed.
    pub(super) async fn reload(&mut self) -> Result<(), Problem> {
        (self.access, self.event) = find(&self.channels, &self.user, self.number).await?;
        Ok(())
    }

    /// The message as the caller sees it.
    pub(super) async fn body(self) -> Result<Json<Value>, Problem> {
        let body = shown(&self.channels, &self.access, &self.server_url, vec![self.event]).await?.pop();
        body.map(Json).ok_or_else(Problem::not_found)
    }
}

async fn caller_and_number(parts: &mut Parts, channels: &Channels) -> Result<(User, String), Response> {
    let Caller(user) = Caller::from_request_parts(parts, channels).await.map_err(Problem::into_response)?;
    let Path(number) = Path::from_request_parts(parts, channels).await.map_err(IntoResponse::into_response)?;
    Ok((user, number))
}

fn no_such_message() -> Problem {
    Problem::detail(StatusCode::NOT_FOUND, "No ChatMessage matches the given query.")
}

async fn find(channels: &Channels, user: &User, number: u64) -> Result<(ConversationAccess, EntryEvent), Problem> {
    let room = channels.desk.history.conversation_of_message(number).await?.ok_or_else(no_such_message)?;
    let access = access_room(channels, user, room).await.map_err(|error| match error {
        AccessError::NotFound | AccessError::Forbidden | AccessError::Banned(_) => no_such_message(),
        AccessError::Store(error) => error.into(),
    })?;
    let event = channels.desk.history.message(access.summary.conversation.id, number).await?;
    Ok((access, event.ok_or_else(no_such_message)?))
}

/// Returns the room with this number, if the user may access it.
pub(super) async fn access_room(
    channels: &Channels,
    user: &User,
    number: u64,
) -> Result<ConversationAccess, AccessError> {
    let credential = Credential::Identity(caller::person(user));
    channels.desk.conversations.access(ConversationName::Number(number), &credential).await
}

/// Returns the room that a query or a body names. `what` completes "You do not have permission to ... room".
pub(super) async fn access_room_to(
    channels: &Channels,
    user: &User,
    room: &str,
    what: &str,
) -> Result<ConversationAccess, Problem> {
    let none = || Problem::error(StatusCode::NOT_FOUND, "Chat room not found");
    let number = room.parse().map_err(|_| none())?;
    access_room(channels, user, number).await.map_err(|error| match error {
        AccessError::NotFound | AccessError::Banned(_) => none(),
        AccessError::Forbidden => {
            Problem::error(StatusCode::FORBIDDEN, &format!("You do not have permission to {what} room"))
        }
        AccessError::Store(error) => error.into(),
    })
}

/// Returns the room that a message is to be sent to.
pub(super) async fn access_room_to_send(
    channels: &Channels,
    user: &User,
    room: &str,
) -> Result<ConversationAccess, Problem> {
    access_room_to(channels, user, room, "send messages in this").await
}

/// The URL of a message's attachment: absolute, as browsers need it.
pub(super) fn linker(server_url: &ServerUrl) -> impl Fn(&EntryEvent) -> Option<String> + Send + Sync {
    |event| event.attachment_path.as_ref().map(|path| format!("{}{path}", server_url.as_str()))
}

/// Messages as somebody in their room sees them: each with the time at which it was read, and the message that it replies to.
pub(super) async fn shown(
    channels: &Channels,
    access: &ConversationAccess,
    server_url: &ServerUrl,
    log: Vec<EntryEvent>,
) -> Result<Vec<Value>, Problem> {
    let log = channels.desk.history.annotate(access, log).await?;
    let link = linker(server_url);
    Ok(messages(&log, &access.summary, &access.person, &link).iter().map(|body| json!(body)).collect())
}
