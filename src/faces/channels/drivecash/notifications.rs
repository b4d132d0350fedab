//! `/api/chat/notifications/...`: what a customer has not read of the desk's answers. Nothing of it is kept: it follows from
//! the log.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::desk::enter::Entered;
use crate::desk::mark_read::MarkRead;
use crate::domain::{EntryTold, Side, User};
use crate::faces::channels::caller::{self, Caller};
use crate::faces::channels::reply::Problem;
use crate::faces::channels::{Channels, stamp};

pub(super) fn routes() -> Router<Channels> {
    Router::new()
        .route("/api/chat/notifications/", get(list))
        .route("/api/chat/notifications/{notification}/mark_read/", post(mark_read))
        .route("/api/chat/notifications/mark_all_read/", post(mark_all_read))
        .route("/api/notifications/", get(others))
        .route("/api/notifications/{notification}/", patch(no_other))
        .route("/api/notifications/mark_all_as_read/", post(StatusCode::NO_CONTENT))
}

/// The desk's messages in a customer's room, and how far they have read; `None` for agents.
async fn from_desk(channels: &Channels, user: &User) -> Result<Option<(Entered, Vec<EntryTold>)>, Problem> {
    if user.role.is_agent() {
        return Ok(None);
    }
    let (entered, _) = channels.desk.own_conversation(&caller::person(user)).await?;
    let log = channels.desk.room_log(&entered, usize::MAX).await?;
    let messages = log.messages.into_iter().filter(|told| told.entry.side == Side::Desk).collect();
    Ok(Some((entered, messages)))
}

fn body(told: &EntryTold, user: &User, is_read: bool) -> Option<Value> {
    let message = told.entry.message()?;
    let desk = &told.parties.desk;
    Some(json!({
        "id": message.number,
        "room": told.parties.conversation.number,
        "recipient": user.number,
        "message": format!("New message from {}", desk.email),
        "is_read": is_read,
        "created_at": stamp::rest(told.entry.at),
    }))
}

async fn list(State(channels): State<Channels>, Caller(user): Caller) -> Result<Json<Value>, Problem> {
    let Some((entered, messages)) = from_desk(&channels, &user).await? else { return Ok(Json(json!([]))) };
    let read = entered.summary.side(Side::Customer).read;
    let unread = messages.iter().filter(|told| told.entry.seq > read).filter_map(|told| body(told, &user, false));
    Ok(Json(unread.collect()))
}

async fn mark_read(
    State(channels): State<Channels>,
    Caller(user): Caller,
    Path(notification): Path<String>,
) -> Result<Json<Value>, Problem> {
    let none = || Problem::detail(StatusCode::NOT_FOUND, "No ChatNotification matches the given query.");
    let number: u64 = notification.parse().map_err(|_| none())?;
    let (entered, messages) = from_desk(&channels, &user).await?.ok_or_else(none)?;
    let named = messages.iter().find(|told| told.entry.message().is_some_and(|message| message.number == number));
    let told = named.ok_or_else(none)?;
    let what = MarkRead::In(told.entry.conversation, Some(told.entry.seq));
    channels.desk.mark_read(&entered.person, what, None).await?;
    body(told, &user, true).map(Json).ok_or_else(none)
}

async fn mark_all_read(State(channels): State<Channels>, Caller(user): Caller) -> Result<Json<Value>, Problem> {
    let count = match from_desk(&channels, &user).await? {
        Some((entered, _)) => channels.desk.mark_room_read(&entered).await?,
        None => 0,
    };
    Ok(Json(json!({"message": "All notifications marked as read", "count": count})))
}

/// Those of the portal's other parts: there are none here.
async fn others(_: Caller) -> Json<Value> {
    Json(json!([]))
}

async fn no_other(_: Caller) -> Problem {
    Problem::not_found()
}
