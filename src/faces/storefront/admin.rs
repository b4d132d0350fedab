//! `/api/admin/chat-...`: all rooms, for agents.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Storefront;
use super::customer::details;
use super::pages::{PAGE, Paging};
use super::requested_room::{AgentsRoom, RequestedRoom};
use super::wire::RoomBody;
use crate::domain::Status;
use crate::faces::channels::Channels;
use crate::faces::channels::body::Fields;
use crate::faces::channels::caller::Agent;
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

async fn list(State(channels): State<Channels>, _: Agent, paging: Paging) -> Result<Response, Problem> {
    let (rooms, count) = channels.desk.conversations.support_conversations(paging.skip(), PAGE).await?;
    let rooms = rooms.iter().map(|room| RoomBody::new(room, None)).collect();
    Ok(Json(paging.page(rooms, count)?).into_response())
}

/// `{customer_name?, customer_email?, customer_phone?}`: a room for a customer who has not visited the shop. The customer is a visitor
/// without a session; only the room's id gives access.
async fn create(
    State(channels): State<Channels>,
    _: Agent,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    let visitor = channels.accounts.new_visitor(details(&fields)?).await?.user;
    let (room, _) = RequestedRoom::of_customer(channels, &visitor, server_url).await?;
    Ok((StatusCode::CREATED, Json(room.full().await?)).into_response())
}

async fn room(AgentsRoom(room): AgentsRoom) -> Result<Json<Value>, Problem> {
    Ok(Json(room.full().await?))
}

/// `{status?, customer_name?, customer_email?, customer_phone?}`. If any of them is invalid, nothing is changed.
async fn change(AgentsRoom(room): AgentsRoom, fields: Fields) -> Result<Json<Value>, Problem> {
    let status = fields.0.get("status").map(status).transpose()?;
    let details = details(&fields)?;
    if let Some(status) = status {
        room.channels.desk.messages.change_status(&room.access.person, room.conversation(), status).await?;
    }
    room.change_customer(details).await?;
    Ok(Json(room.full().await?))
}

fn status(word: &Value) -> Result<Status, Problem> {
    let status = word.as_str().and_then(|word| word.parse::<Status>().ok());
    status
        .filter(|status| *status != Status::Removed)
        .ok_or_else(|| Problem::fields(&[("status", "Not a valid choice.")]))
}

/// Removes the room for agents: it is not listed, and requests for it get 404. Its messages remain visible to the customer, and the next
/// message restores it.
async fn delete(AgentsRoom(room): AgentsRoom) -> Result<StatusCode, Problem> {
    room.channels.desk.messages.change_status(&room.access.person, room.conversation(), Status::Removed).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn send(AgentsRoom(room): AgentsRoom, fields: Fields) -> Result<Response, Problem> {
    room.send(&fields).await
}

async fn log(AgentsRoom(room): AgentsRoom) -> Result<Json<Value>, Problem> {
    Ok(Json(room.log().await?))
}

/// `chat-messages/?room_id=`: the same in pages; an empty page without a room.
async fn paged_log(State(channels): State<Channels>, Agent(agent): Agent, paging: Paging) -> Result<Response, Problem> {
    let Some(room) = paging.query.get("room_id") else {
        return Ok(Json(paging.cut(Vec::<Value>::new())?).into_response());
    };
    let room = RequestedRoom::of_agent(channels, &agent, room, paging.server_url.clone()).await?;
    room.page_of_log(&paging).await
}

/// POST in one generation of the frontends, PATCH in the other; the response has the fields of both.
async fn mark_as_read(AgentsRoom(room): AgentsRoom) -> Result<Json<Value>, Problem> {
    let count =
        room.channels.desk.messages.mark_all_read(&room.access.person, room.access.summary.conversation.id).await?;
    let message = format!("Marked {count} messages as read");
    Ok(Json(json!({"status": "marked as read", "message": message, "updated_count": count})))
}

async fn close(AgentsRoom(room): AgentsRoom) -> Result<Json<Value>, Problem> {
    room.channels.desk.messages.change_status(&room.access.person, room.conversation(), Status::Closed).await?;
    Ok(Json(json!({"message": "Chat room closed successfully", "room": room.full().await?})))
}
