//! `/api/chat/notifications/...`: messages of the desk that a customer has not read. They are computed from the log.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::desk::conversations::ConversationAccess;
use crate::desk::messages::MarkRead;
use crate::domain::{EntryEvent, Side, User};
use crate::faces::channels::caller::{self, Caller};
use crate::faces::channels::reply::Problem;
use crate::faces::channels::{Channels, timestamps};

pub(super) fn routes() -> Router<Channels> {
    Router::new()
        .route("/api/chat/notifications/", get(list))
        .route("/api/chat/notifications/{notification}/mark_read/", post(mark_read))
        .route("/api/chat/notifications/mark_all_read/", post(mark_all_read))
        .route("/api/notifications/", get(others))
        .route("/api/notifications/{notification}/", patch(no_other))
        .route("/api/notifications/mark_all_as_read/", post(none_to_mark))
}

/// A customer's own room; `None` for agents.
async fn own_room(channels: &Channels, user: &User) -> Result<Option<ConversationAccess>, Problem> {
    if user.role.is_agent() {
        return Ok(None);
    }
    Ok(Some(channels.desk.conversations.own_conversation(&caller::person(user)).await?.0))
}

fn body(event: &EntryEvent, user: &User, is_read: bool) -> Option<Value> {
    let message = event.entry.message()?;
    let desk = &event.parties.desk;
    Some(json!({
        "id": message.number,
        "room": event.parties.conversation.number,
        "recipient": user.number,
        "message": format!("New message from {}", desk.email),
        "is_read": is_read,
        "created_at": timestamps::rest(event.entry.at),
    }))
}

async fn list(State(channels): State<Channels>, Caller(user): Caller) -> Result<Json<Value>, Problem> {
    let Some(access) = own_room(&channels, &user).await? else { return Ok(Json(json!([]))) };
    let unread = channels.desk.history.read_unread(&access).await?;
    Ok(Json(unread.iter().filter_map(|event| body(event, &user, false)).collect()))
}

async fn mark_read(
    State(channels): State<Channels>,
    Caller(user): Caller,
    Path(notification): Path<String>,
) -> Result<Json<Value>, Problem> {
    let none = || Problem::detail(StatusCode::NOT_FOUND, "No ChatNotification matches the given query.");
    let number: u64 = notification.parse().map_err(|_| none())?;
    let access = own_room(&channels, &user).await?.ok_or_else(none)?;
    let event = channels.desk.history.message(access.summary.conversation.id, number).await?;
    let event = event.filter(|event| event.entry.side == Side::Desk).ok_or_else(none)?;
    let what = MarkRead::In(event.entry.conversation, Some(event.entry.seq));
    channels.desk.messages.mark_read(&access.person, what, None).await?;
    body(&event, &user, true).map(Json).ok_or_else(none)
}

async fn mark_all_read(State(channels): State<Channels>, Caller(user): Caller) -> Result<Json<Value>, Problem> {
    let count = match own_room(&channels, &user).await? {
        Some(access) => channels.desk.messages.mark_all_read(&access.person, access.summary.conversation.id).await?,
        None => 0,
    };
    Ok(Json(json!({"message": "All notifications marked as read", "count": count})))
}

/// Notifications of the portal's other parts. This server has none.
async fn others(_: Caller) -> Json<Value> {
    Json(json!([]))
}

async fn none_to_mark(_: Caller) -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn no_other(_: Caller) -> Problem {
    Problem::not_found()
}
