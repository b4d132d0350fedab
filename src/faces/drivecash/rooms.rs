//! `/api/chat/rooms/...`: rooms.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::requested_room::RequestedRoom;
use super::wire::RoomBody;
use crate::domain::Side;
use crate::faces::channels::Channels;
use crate::faces::channels::caller::{self, Caller};
use crate::faces::channels::reply::Problem;
use crate::store::MAX_PAGE;

/// Most rooms in a list, those that changed last. The dialect has no pages.
const MAX_ROOMS: u64 = 10_000;

pub(super) fn routes() -> Router<Channels> {
    Router::new()
        .route("/api/chat/rooms/", get(list).post(create))
        .route("/api/chat/rooms/my_room/", get(my_room))
        .route("/api/chat/rooms/user/{user}/", get(room_of))
        .route("/api/chat/rooms/{room}/", get(room))
        .route("/api/chat/rooms/{room}/mark_as_read/", post(mark_as_read))
}

/// All rooms for an agent, their own for a customer.
async fn list(State(channels): State<Channels>, Caller(user): Caller) -> Result<Json<Value>, Problem> {
    if user.role.is_agent() {
        let mut all = Vec::new();
        loop {
            let (rooms, total) = channels.desk.conversations.support_conversations(all.len() as u64, MAX_PAGE).await?;
            all.extend(rooms.iter().map(|room| json!(RoomBody::new(room, Side::Desk))));
            if rooms.is_empty() || all.len() as u64 >= total.min(MAX_ROOMS) {
                return Ok(Json(Value::Array(all)));
            }
        }
    }
    let (access, _) = channels.desk.conversations.own_conversation(&caller::person(&user)).await?;
    let room = channels.desk.conversations.support_conversation(&access).await?;
    Ok(Json(json!([RoomBody::new(&room, Side::Customer)])))
}

/// Always 400: `my_room/` creates rooms.
async fn create(_: Caller) -> Problem {
    Problem::fields(&[("user", "This field is required.")])
}

async fn my_room(State(channels): State<Channels>, Caller(user): Caller) -> Result<Json<Value>, Problem> {
    if user.role.is_agent() {
        return Err(Problem::error(StatusCode::BAD_REQUEST, "Admin users cannot have personal chat rooms"));
    }
    let (access, created) = channels.desk.conversations.own_conversation(&caller::person(&user)).await?;
    let room = channels.desk.conversations.support_conversation(&access).await?;
    Ok(Json(json!({"room": RoomBody::new(&room, Side::Customer), "created": created})))
}

/// The room of a customer, for agents. Created if there is none.
async fn room_of(
    State(channels): State<Channels>,
    Caller(user): Caller,
    Path(customer): Path<String>,
) -> Result<Json<Value>, Problem> {
    if !user.role.is_agent() {
        return Err(Problem::error(StatusCode::FORBIDDEN, "You do not have permission to access this room"));
    }
    let number = customer.parse().map_err(|_| Problem::not_found())?;
    let customer = channels.accounts.user_by_number(number).await?.filter(|customer| !customer.role.is_agent());
    let customer = customer.ok_or_else(|| Problem::error(StatusCode::NOT_FOUND, "User not found"))?;
    let (access, _) = channels.desk.conversations.own_conversation(&caller::person(&customer)).await?;
    Ok(Json(json!(RoomBody::new(&channels.desk.conversations.support_conversation(&access).await?, Side::Desk))))
}

async fn room(room: RequestedRoom) -> Result<Json<Value>, Problem> {
    room.body().await
}

async fn mark_as_read(RequestedRoom { channels, access }: RequestedRoom) -> Result<Json<Value>, Problem> {
    let count = channels.desk.messages.mark_all_read(&access.person, access.summary.conversation.id).await?;
    Ok(Json(json!({"message": "Messages marked as read", "count": count})))
}
