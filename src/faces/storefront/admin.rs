//! `/api/admin/chat-...`: all rooms, for agents.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Storefront;
use super::pages::{PAGE, Paging};
use super::public::{change_customer, full, say};
use super::wire::{RoomBody, messages};
use crate::desk::conversations::{ConversationAccess, ConversationName, Credential};
use crate::domain::{Status, User};
use crate::faces::channels::Channels;
use crate::faces::channels::body::Fields;
use crate::faces::channels::caller::{self, Agent};
use crate::faces::channels::reply::Problem;
use crate::net::ServerUrl;

pub(super) fn routes() -> Router<Storefront> {
    Router::new()
        .route("/api/admin/chat-rooms/", get(list).post(create))
        .route("/api/admin/chat-rooms/{room}/", get(room).put(change).patch(change).delete(delete))
        .route("/api/admin/chat-rooms/{room}/send_message/", post(send))
        .route("/api/admin/chat-rooms/{room}/get_messages/", get(log))
        .route("/api/admin/chat-rooms/{room}/mark_as_read/", post(mark_as_read).patch(mark_as_read))
        .route("/api/admin/chat-rooms/{room}/close_room/", patch(close))
        .route("/api/admin/chat-messages/", get(paged_log))
}

async fn enter(channels: &Channels, agent: &User, room: &str) -> Result<ConversationAccess, Problem> {
    let uuid = Uuid::try_parse(room).map_err(|_| Problem::not_found())?;
    let claim = Credential::Identity(caller::person(agent));
    let entered = channels.desk.access(ConversationName::Uuid(uuid.as_u128()), &claim).await?;
    if entered.summary.status == Status::Removed { Err(Problem::no_such_room()) } else { Ok(entered) }
}

async fn list(State(channels): State<Channels>, _: Agent, paging: Paging) -> Result<Response, Problem> {
    let (rooms, count) = channels.desk.rooms(paging.skip(), PAGE).await?;
    let rooms = rooms.iter().map(|room| RoomBody::new(room, None)).collect();
    Ok(Json(paging.page(rooms, count)?).into_response())
}

/// A room for somebody who has not come by themselves: they are a visitor, known by the room's id alone.
async fn create(
    State(channels): State<Channels>,
    _: Agent,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    let made = channels.accounts.new_visitor(super::public::card(&fields)?).await?;
    let (entered, _) = channels.desk.own_conversation(&caller::person(&made.user)).await?;
    Ok((StatusCode::CREATED, Json(full(&channels, &entered, &server_url).await?)).into_response())
}

async fn room(
    State(channels): State<Channels>,
    Agent(agent): Agent,
    Path(room): Path<String>,
    server_url: ServerUrl,
) -> Result<Json<Value>, Problem> {
    Ok(Json(full(&channels, &enter(&channels, &agent, &room).await?, &server_url).await?))
}

/// What the customer is called, and `status`.
async fn change(
    State(channels): State<Channels>,
    Agent(agent): Agent,
    Path(room): Path<String>,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let entered = enter(&channels, &agent, &room).await?;
    if let Some(word) = fields.0.get("status") {
        let status = word.as_str().and_then(|word| word.parse::<Status>().ok());
        let status = status
            .filter(|status| *status != Status::Removed)
            .ok_or_else(|| Problem::fields(&[("status", "Not a valid choice.")]))?;
        channels.desk.change_status(&entered.person, entered.summary.conversation.id, status).await?;
    }
    change_customer(&channels, &entered, &fields).await?;
    Ok(Json(full(&channels, &entered, &server_url).await?))
}

/// The room leaves the agents' lists, and is not there for them any more. What was said is kept for its customer, and comes back with
/// the next message.
async fn delete(
    State(channels): State<Channels>,
    Agent(agent): Agent,
    Path(room): Path<String>,
) -> Result<StatusCode, Problem> {
    let entered = enter(&channels, &agent, &room).await?;
    channels.desk.change_status(&entered.person, entered.summary.conversation.id, Status::Removed).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn send(
    State(channels): State<Channels>,
    Agent(agent): Agent,
    Path(room): Path<String>,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    let entered = enter(&channels, &agent, &room).await?;
    say(&channels, &entered, &server_url, &fields).await
}

async fn log(
    State(channels): State<Channels>,
    Agent(agent): Agent,
    Path(room): Path<String>,
    server_url: ServerUrl,
) -> Result<Json<Value>, Problem> {
    let entered = enter(&channels, &agent, &room).await?;
    let log = channels.desk.room_log(&entered, usize::MAX).await?;
    let body = json!(messages(&log, &entered.summary, channels.viewer(&entered.person, server_url.as_str())));
    Ok(Json(body))
}

async fn paged_log(State(channels): State<Channels>, Agent(agent): Agent, paging: Paging) -> Result<Response, Problem> {
    let Some(room) = paging.query.get("room_id") else {
        return Ok(Json(paging.cut(Vec::<Value>::new())?).into_response());
    };
    let entered = enter(&channels, &agent, room).await?;
    let (log, total) = channels.desk.room_page(&entered, paging.skip(), PAGE).await?;
    Ok(Json(
        paging.page(
            messages(&log, &entered.summary, channels.viewer(&entered.person, paging.server_url.as_str())),
            total,
        )?,
    )
    .into_response())
}

/// By POST for one generation, by PATCH for the other; the answer has the words of both.
async fn mark_as_read(
    State(channels): State<Channels>,
    Agent(agent): Agent,
    Path(room): Path<String>,
) -> Result<Json<Value>, Problem> {
    let entered = enter(&channels, &agent, &room).await?;
    let count = channels.desk.mark_room_read(&entered).await?;
    let message = format!("Marked {count} messages as read");
    Ok(Json(json!({"status": "marked as read", "message": message, "updated_count": count})))
}

async fn close(
    State(channels): State<Channels>,
    Agent(agent): Agent,
    Path(room): Path<String>,
    server_url: ServerUrl,
) -> Result<Json<Value>, Problem> {
    let entered = enter(&channels, &agent, &room).await?;
    channels.desk.change_status(&entered.person, entered.summary.conversation.id, Status::Closed).await?;
    let room = full(&channels, &entered, &server_url).await?;
    Ok(Json(json!({"message": "Chat room closed successfully", "room": room})))
}
