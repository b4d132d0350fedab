//! `/api/public/...`: customers' rooms. A room's id is a capability: whoever has it may read the room and write for its customer.
//! Lists show the caller's own alone.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Storefront;
use super::pages::{self, PAGE, Paging};
use super::wire::{MessageBody, RoomBody, messages};
use crate::accounts::visitors::{ANONYMOUS, VisitorDetails};
use crate::desk::conversations::ConversationAccess;
use crate::desk::messages::MarkRead;
use crate::desk::messages::{Addressee, SendMessage};
use crate::domain::{Email, EntryEvent, MessageExtras, Side, User};
use crate::faces::channels::body::Fields;
use crate::faces::channels::caller::{self, Anybody, Caller};
use crate::faces::channels::cookies;
use crate::faces::channels::reply::Problem;
use crate::faces::channels::{Channels, timestamps};
use crate::net::ServerUrl;

/// How many messages of each room the list of an open server has.
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

/// The caller's own room; on an open server everybody's, for agents and for programs that show no identity. A visitor's first
/// request from a page makes them a room, since the newer frontend sends nothing until it has found one here.
async fn list(
    State(channels): State<Channels>,
    who: Anybody,
    method: Method,
    headers: HeaderMap,
    paging: Paging,
) -> Result<Response, Problem> {
    let server_url = &paging.server_url;
    let is_agent = who.user().is_some_and(|user| user.role.is_agent());
    let is_visitors_page =
        who.user().is_none() && method == Method::GET && pages::asks_from_a_page(&channels, &headers);
    // A customer's page takes one of the rooms in the answer for its own.
    if channels.settings.open_public_rooms && (is_agent || (who.user().is_none() && !is_visitors_page)) {
        let (rooms, count) = channels.desk.rooms(paging.skip(), PAGE).await?;
        let mut full = Vec::with_capacity(rooms.len());
        for room in &rooms {
            let log = channels.desk.newest_messages(&room.summary, OF_EACH).await?;
            full.push(json!(RoomBody::new(
                room,
                Some(messages(&log, &room.summary, channels.customers_view(server_url.as_str())))
            )));
        }
        return Ok(Json(paging.page(full, count)?).into_response());
    }
    if is_visitors_page {
        let made = channels.accounts.new_visitor(VisitorDetails::default()).await?;
        let response = own_page(&channels, Some(&made.user), &paging).await?;
        return Ok(with_session(server_url, response, &made.secret));
    }
    own_page(&channels, who.user(), &paging).await
}

/// Gives a browser its session.
fn with_session(server_url: &ServerUrl, mut response: Response, secret: &str) -> Response {
    cookies::SESSION.set(&mut response, secret, server_url);
    response
}

async fn own_page(channels: &Channels, user: Option<&User>, paging: &Paging) -> Result<Response, Problem> {
    let mut rooms = Vec::new();
    if let Some(user) = user.filter(|user| !user.role.is_agent()) {
        let (entered, _) = channels.desk.own_conversation(&caller::person(user)).await?;
        rooms.push(full(channels, &entered, &paging.server_url).await?);
    }
    Ok(Json(paging.cut(rooms)?).into_response())
}

/// `RoomFull` of a room that somebody is in.
pub(super) async fn full(
    channels: &Channels,
    entered: &ConversationAccess,
    server_url: &ServerUrl,
) -> Result<Value, Problem> {
    let log = channels.desk.room_log(entered, usize::MAX).await?;
    let room = channels.desk.room(entered).await?;
    let messages = messages(&log, &room.summary, channels.viewer(&entered.person, server_url.as_str()));
    let body = json!(RoomBody::new(&room, Some(messages)));
    Ok(body)
}

/// `POST chat-rooms/` `{customer_name?, customer_email?, customer_phone?}`: 201 with a new room, 200 with the one there is.
async fn create(
    State(channels): State<Channels>,
    who: Anybody,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    let card = card(&fields)?;
    let (user, secret) = match who.user() {
        Some(user) if user.role.is_agent() => return Err(Problem::not_for_you()),
        Some(user) => {
            channels.accounts.change_visitor(user, card).await?;
            (user.clone(), None)
        }
        None => {
            let made = channels.accounts.new_visitor(card).await?;
            (made.user, Some(made.secret))
        }
    };
    let (entered, is_new) = channels.desk.own_conversation(&caller::person(&user)).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let response = (status, Json(full(&channels, &entered, &server_url).await?)).into_response();
    Ok(match secret {
        Some(secret) => with_session(&server_url, response, &secret),
        None => response,
    })
}

/// What somebody says of themselves, as far as they say it.
pub(super) fn card(fields: &Fields) -> Result<VisitorDetails, Problem> {
    let field = |name: &'static str, longest: usize| match fields.text(name) {
        Some(text) if text.chars().count() > longest || text.contains(char::is_control) => {
            Err(Problem::fields(&[(name, "Not a valid value.")]))
        }
        given => Ok(given.map(|text| text.trim().to_owned())),
    };
    let card = VisitorDetails {
        name: field("customer_name", 200)?,
        email: field("customer_email", 254)?,
        phone: field("customer_phone", 50)?,
    };
    if card.email.as_ref().is_some_and(|email| !email.is_empty() && email.parse::<Email>().is_err()) {
        return Err(Problem::fields(&[("customer_email", "Enter a valid email address.")]));
    }
    Ok(card)
}

/// Lets a caller into a room that they name.
async fn enter(channels: &Channels, who: &Anybody, room: &str) -> Result<ConversationAccess, Problem> {
    let uuid = Uuid::try_parse(room).map_err(|_| Problem::not_found())?;
    let people = [&who.account, &who.visitor].into_iter().flatten().map(caller::person);
    Ok(super::enter(channels, people, uuid).await?)
}

async fn room(
    State(channels): State<Channels>,
    who: Anybody,
    Path(room): Path<String>,
    server_url: ServerUrl,
) -> Result<Json<Value>, Problem> {
    Ok(Json(full(&channels, &enter(&channels, &who, &room).await?, &server_url).await?))
}

/// Changes what the customer says of themselves: for the customer and agents alone, the room's id is not enough.
async fn change(
    State(channels): State<Channels>,
    who: Anybody,
    Path(room): Path<String>,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let entered = enter(&channels, &who, &room).await?;
    if !entered.is_identified && !channels.settings.open_public_rooms {
        return Err(Problem::no_such_room());
    }
    change_customer(&channels, &entered, &fields).await?;
    Ok(Json(full(&channels, &entered, &server_url).await?))
}

pub(super) async fn change_customer(
    channels: &Channels,
    entered: &ConversationAccess,
    fields: &Fields,
) -> Result<(), Problem> {
    let card = card(fields)?;
    if let Some(customer) = channels.accounts.user(entered.customer.id).await? {
        channels.accounts.change_visitor(&customer, card).await?;
        channels.desk.account_changed(customer.id).await;
    }
    Ok(())
}

async fn send(
    State(channels): State<Channels>,
    who: Anybody,
    Path(room): Path<String>,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    let mut entered = enter(&channels, &who, &room).await?;
    name_visitor(&channels, &mut entered, &fields).await?;
    say(&channels, &entered, &server_url, &fields).await
}

/// A visitor whose room was made by a first look has no name yet: the newer frontend tells it with each message, as `customer_name`.
async fn name_visitor(channels: &Channels, entered: &mut ConversationAccess, fields: &Fields) -> Result<(), Problem> {
    let is_nameless = entered.customer.email.is_empty() && entered.customer.name == ANONYMOUS;
    let given = fields.text("customer_name").is_some_and(|name| !name.trim().is_empty());
    if entered.is_identified && is_nameless && given {
        change_customer(channels, entered, fields).await?;
        if let Some(named) = channels.accounts.user(entered.customer.id).await? {
            entered.person = caller::person(&named);
            entered.customer = entered.person.clone();
        }
    }
    Ok(())
}

/// `{content}`: 201 with the message, bare and once more under `data`. The answer comes before its echo on the sockets.
pub(super) async fn say(
    channels: &Channels,
    entered: &ConversationAccess,
    server_url: &ServerUrl,
    fields: &Fields,
) -> Result<Response, Problem> {
    if !entered.may_write {
        return Err(Problem::no_such_room());
    }
    let text = fields.text("content").unwrap_or_default().to_owned();
    let answering = channels.pending_responses.hold();
    let ask = SendMessage {
        author: Arc::clone(&entered.person),
        to: Addressee::Conversation(entered.summary.conversation.id),
        text,
        client_id: None,
        origin: Some(answering.origin),
        extras: MessageExtras::default(),
    };
    let sent = channels.desk.send_and_wait(ask).await?;
    if entered.side == Side::Desk {
        read_what_was_answered(channels, &sent.told).await;
    }
    let viewer = channels.viewer(&entered.person, server_url.as_str());
    let message = json!(MessageBody::new(&sent.told, viewer, false, timestamps::rest));
    let mut body = message.clone();
    body["data"] = message;
    body["message"] = json!("Message sent successfully");
    Ok(answering.until_sent((StatusCode::CREATED, Json(body)).into_response()))
}

/// An agent who answers has read what was said before. The answer is kept already, so a failure is only logged.
async fn read_what_was_answered(channels: &Channels, answer: &EntryEvent) {
    let read = MarkRead::In(answer.entry.conversation, Some(answer.entry.seq));
    if let Err(error) = channels.desk.mark_read(&answer.author, read, None).await {
        tracing::warn!(%error, "Could not mark an agent's replies as read");
    }
}

/// The messages, oldest first. Fetching them is delivery: a page may fetch what nobody looks at.
async fn log(
    State(channels): State<Channels>,
    who: Anybody,
    Path(room): Path<String>,
    server_url: ServerUrl,
) -> Result<Json<Value>, Problem> {
    let entered = enter(&channels, &who, &room).await?;
    let log = channels.desk.room_log(&entered, usize::MAX).await?;
    let body = json!(messages(&log, &entered.summary, channels.viewer(&entered.person, server_url.as_str())));
    Ok(Json(body))
}

/// `chat-messages/?room_id=`: the same in pages; empty without a room.
async fn paged_log(State(channels): State<Channels>, who: Anybody, paging: Paging) -> Result<Response, Problem> {
    let Some(room) = paging.query.get("room_id") else {
        return Ok(Json(paging.cut(Vec::<Value>::new())?).into_response());
    };
    let entered = enter(&channels, &who, room).await?;
    let (log, total) = channels.desk.room_page(&entered, paging.skip(), PAGE).await?;
    let viewer = channels.viewer(&entered.person, paging.server_url.as_str());
    Ok(Json(paging.page(messages(&log, &entered.summary, viewer), total)?).into_response())
}

/// `chat-messages/{id}/?room_id=`: one of them. Its number can be guessed, so that the room has to be named here, too.
async fn message(
    State(channels): State<Channels>,
    who: Anybody,
    Path(number): Path<String>,
    paging: Paging,
) -> Result<Json<Value>, Problem> {
    let none = || Problem::detail(StatusCode::NOT_FOUND, "No ChatMessage matches the given query.");
    let room = paging.query.get("room_id").ok_or_else(none)?;
    let entered = enter(&channels, &who, room).await?;
    let number = number.parse().map_err(|_| none())?;
    let told = channels.desk.message(entered.summary.conversation.id, number).await?.ok_or_else(none)?;
    let viewer = channels.viewer(&entered.person, paging.server_url.as_str());
    Ok(Json(json!(messages(&[told], &entered.summary, viewer).pop().ok_or_else(none)?)))
}

async fn own_list(State(channels): State<Channels>, Caller(user): Caller, paging: Paging) -> Result<Response, Problem> {
    own_page(&channels, Some(&user), &paging).await
}

async fn own_create(
    State(channels): State<Channels>,
    Caller(user): Caller,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    create(State(channels), Anybody { account: Some(user), visitor: None }, server_url, fields).await
}

async fn own_send(
    State(channels): State<Channels>,
    _: Caller,
    who: Anybody,
    Path(room): Path<String>,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    let entered = enter(&channels, &who, &room).await?;
    say(&channels, &entered, &server_url, &fields).await
}

async fn health() -> Json<Value> {
    Json(json!({"status": "ok", "websocket": "available"}))
}
