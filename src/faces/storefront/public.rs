//! `/api/public/...`: customers' rooms. A room's id is a capability: whoever has it may read the room and write as its customer.
//! Lists contain the caller's own room only.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Storefront;
use super::customer::details;
use super::pages::{self, PAGE, Paging};
use super::requested_room::{CallersRoom, RequestedRoom};
use super::wire::{RoomBody, messages};
use crate::accounts::visitors::VisitorDetails;
use crate::desk::history::{Range, Reader};
use crate::domain::User;
use crate::faces::channels::Channels;
use crate::faces::channels::body::Fields;
use crate::faces::channels::caller::{Anybody, Caller};
use crate::faces::channels::reply::Problem;
use crate::faces::http::cookies;
use crate::faces::http::reply::too_many;
use crate::limits::Action;
use crate::net::{ClientAddress, ServerUrl};

/// Messages per room in the list of a server with `open_public_rooms`.
const OF_EACH: usize = 100;

pub(super) fn routes() -> Router<Storefront> {
    Router::new()
        .route("/api/public/chat-rooms/", get(list).post(create))
        .route("/api/public/chat-rooms/{room}/", get(room).put(change).patch(change))
        .route("/api/public/chat-rooms/{room}/send_message/", post(send))
        .route("/api/public/chat-rooms/{room}/get_messages/", get(log))
        .route("/api/public/chat-messages/", get(paged_log))
        .route("/api/public/chat-messages/{message}/", get(message))
        .route("/api/public/user-chat/", get(own_list).post(own_create))
        .route("/api/public/user-chat/{room}/send_message/", post(own_send))
        .route("/health/ws/", get(health))
}

/// The caller's own room. With `open_public_rooms` all rooms, for agents and for programs without credentials. A visitor's first request
/// from a page creates their room: the newer frontend sends nothing until it has found one here.
async fn list(
    State(channels): State<Channels>,
    who: Anybody,
    method: Method,
    headers: HeaderMap,
    address: ClientAddress,
    paging: Paging,
) -> Result<Response, Problem> {
    let server_url = &paging.server_url;
    let is_agent = who.user().is_some_and(|user| user.role.is_agent());
    let is_visitors_page =
        who.user().is_none() && method == Method::GET && pages::asks_from_a_page(&channels, &headers);
    // Not for a visitor's page, which would use one of these rooms as its own.
    if channels.settings.open_public_rooms && (is_agent || (who.user().is_none() && !is_visitors_page)) {
        let (rooms, count) = channels.desk.conversations.support_conversations(paging.skip(), PAGE).await?;
        let mut full = Vec::with_capacity(rooms.len());
        for room in &rooms {
            let log = channels.desk.history.read(&room.summary, Reader::Nobody, Range::Newest, OF_EACH).await?.messages;
            full.push(json!(RoomBody::new(
                room,
                Some(messages(&log, &room.summary, channels.customers_view(server_url.as_str())))
            )));
        }
        return Ok(Json(paging.page(full, count)?).into_response());
    }
    if is_visitors_page {
        if let Err(limited) = channels.limits.take_for(Action::Room, address.source(), None) {
            return Ok(too_many(limited));
        }
        let visitor = channels.accounts.new_visitor(VisitorDetails::default()).await?;
        let response = own_page(&channels, Some(&visitor.user), &paging).await?;
        return Ok(with_session(server_url, response, &visitor.secret));
    }
    own_page(&channels, who.user(), &paging).await
}

/// Sets a visitor's session cookie.
fn with_session(server_url: &ServerUrl, mut response: Response, secret: &str) -> Response {
    cookies::SESSION.set(&mut response, secret, server_url);
    response
}

async fn own_page(channels: &Channels, user: Option<&User>, paging: &Paging) -> Result<Response, Problem> {
    let mut rooms = Vec::new();
    if let Some(user) = user.filter(|user| !user.role.is_agent()) {
        let (room, _) = RequestedRoom::of_customer(channels.clone(), user, paging.server_url.clone()).await?;
        rooms.push(room.full().await?);
    }
    Ok(Json(paging.cut(rooms)?).into_response())
}

/// `POST chat-rooms/` `{customer_name?, customer_email?, customer_phone?}`: 201 with a new room, 200 with the existing one.
async fn create(
    State(channels): State<Channels>,
    who: Anybody,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    let details = details(&fields)?;
    let (user, secret) = match who.user() {
        Some(user) if user.role.is_agent() => return Err(Problem::forbidden()),
        Some(user) => {
            channels.accounts.change_visitor(user, details).await?;
            (user.clone(), None)
        }
        None => {
            let visitor = channels.accounts.new_visitor(details).await?;
            (visitor.user, Some(visitor.secret))
        }
    };
    let (room, is_new) = RequestedRoom::of_customer(channels, &user, server_url.clone()).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let response = (status, Json(room.full().await?)).into_response();
    Ok(match secret {
        Some(secret) => with_session(&server_url, response, &secret),
        None => response,
    })
}

async fn room(CallersRoom(room): CallersRoom) -> Result<Json<Value>, Problem> {
    Ok(Json(room.full().await?))
}

/// Changes the customer's details. Only the customer and agents may: the room's id is not enough.
async fn change(CallersRoom(room): CallersRoom, fields: Fields) -> Result<Json<Value>, Problem> {
    if !room.access.is_identified && !room.channels.settings.open_public_rooms {
        return Err(Problem::no_such_room());
    }
    room.change_customer(details(&fields)?).await?;
    Ok(Json(room.full().await?))
}

async fn send(CallersRoom(mut room): CallersRoom, fields: Fields) -> Result<Response, Problem> {
    room.name_visitor(&fields).await?;
    room.send(&fields).await
}

async fn log(CallersRoom(room): CallersRoom) -> Result<Json<Value>, Problem> {
    Ok(Json(room.log().await?))
}

/// `chat-messages/?room_id=`: the same in pages; an empty page without a room.
async fn paged_log(State(channels): State<Channels>, who: Anybody, paging: Paging) -> Result<Response, Problem> {
    let Some(room) = paging.query.get("room_id") else {
        return Ok(Json(paging.cut(Vec::<Value>::new())?).into_response());
    };
    let room = RequestedRoom::of_caller(channels, &who, room, paging.server_url.clone()).await?;
    room.page_of_log(&paging).await
}

/// `chat-messages/{id}/?room_id=`: one message. The room is required because the number of a message can be guessed.
async fn message(
    State(channels): State<Channels>,
    who: Anybody,
    Path(number): Path<String>,
    paging: Paging,
) -> Result<Json<Value>, Problem> {
    let none = || Problem::detail(StatusCode::NOT_FOUND, "No ChatMessage matches the given query.");
    let room = paging.query.get("room_id").ok_or_else(none)?;
    let room = RequestedRoom::of_caller(channels, &who, room, paging.server_url.clone()).await?;
    let number = number.parse().map_err(|_| none())?;
    let event = room.channels.desk.history.message(room.conversation(), number).await?.ok_or_else(none)?;
    Ok(Json(json!(messages(&[event], &room.access.summary, room.viewer()).pop().ok_or_else(none)?)))
}

async fn own_list(State(channels): State<Channels>, Caller(user): Caller, paging: Paging) -> Result<Response, Problem> {
    own_page(&channels, Some(&user), &paging).await
}

async fn own_create(
    state: State<Channels>,
    Caller(user): Caller,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    create(state, Anybody { account: Some(user), visitor: None }, server_url, fields).await
}

async fn own_send(_: Caller, CallersRoom(room): CallersRoom, fields: Fields) -> Result<Response, Problem> {
    room.send(&fields).await
}

async fn health() -> Json<Value> {
    Json(json!({"status": "ok", "websocket": "available"}))
}
