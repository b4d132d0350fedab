//! `/api/chat/...`: the chat screen. Errors are `{message}` only.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::ApiJson;
use super::{Caller, ChatState};
use crate::desk::Desk;
use crate::desk::messages::{Addressee, SendMessage, SendMessageError};
use crate::domain::event::SeenPerson;
use crate::domain::{ClientMessageId, MessageExtras, MessageStatus, Person, Seq, UserId};
use crate::faces::dashboard::wire::records::{ConversationBody, MessageBody, PersonBody};
use crate::faces::http::reply::status_of;
use crate::net::ServerUrl;
use crate::net::retry_later;
use crate::store::StoreError;

/// Conversations in a list without `limit`.
const LISTED: usize = 500;

/// Time that the page needs to render the list of conversations. It cannot handle presence events before.
const LIST_RENDERED: Duration = Duration::from_millis(150);

/// The routes under `/api/chat`.
pub(super) fn routes() -> Router<ChatState> {
    Router::new()
        .route("/api/chat/admin", get(support))
        .route("/api/chat/conversations", get(conversations))
        .route("/api/chat/messages/{user}", get(messages))
        .route("/api/chat/send", post(send))
        .route("/api/chat/unread-count", get(unread_count))
}

#[derive(Deserialize)]
struct Paging {
    limit: Option<usize>,
    before: Option<u64>,
}

/// The support identity, to which customers write.
async fn support(State(desk): State<Desk>, Caller(user): Caller) -> Result<Response, ChatRefusal> {
    let viewer = Arc::new(Person::from(&user));
    let Some(support) = desk.conversations.support_identity(&viewer).await? else {
        return Ok(refuse(StatusCode::NOT_FOUND, "Admin not found"));
    };
    refresh_screen(&desk, &viewer);
    Ok(Json(PersonBody::from(SeenPerson { id: support.id, shown: &support })).into_response())
}

/// An agent's list of conversations, newest message first.
async fn conversations(
    State(desk): State<Desk>,
    Caller(user): Caller,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, ChatRefusal> {
    if !user.role.is_agent() {
        return Ok(refuse(StatusCode::FORBIDDEN, "Access denied"));
    }
    let Ok(Query(paging)) = paging else { return Ok(bad_paging()) };
    let viewer = Arc::new(Person::from(&user));
    let listed = desk.conversations.list(&viewer, paging.limit.unwrap_or(LISTED)).await?;
    let body: Vec<ConversationBody<'_>> = listed.iter().map(ConversationBody::from).collect();
    let response = Json(body).into_response();
    refresh_screen(&desk, &viewer);
    Ok(response)
}

/// Sends `authenticated` and who is online once more, because the chat screen was opened, perhaps on a socket that was open before. The
/// screen shows "connecting" until it receives `authenticated`, and nobody as online; it can handle presence only after its list.
fn refresh_screen(desk: &Desk, viewer: &Arc<Person>) {
    desk.announcements.resend_authenticated(viewer.id);
    desk.announcements.send_snapshots_after(viewer, LIST_RENDERED);
}

/// The conversation with somebody, oldest message first. Marks it as read, after reading it.
async fn messages(
    State(desk): State<Desk>,
    Caller(user): Caller,
    Path(other): Path<String>,
    server_url: ServerUrl,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, ChatRefusal> {
    let Ok(other) = other.parse::<UserId>() else {
        // Nothing failed; the replaced server responded this way.
        return Ok(refuse(StatusCode::INTERNAL_SERVER_ERROR, "Server error"));
    };
    let Ok(Query(paging)) = paging else { return Ok(bad_paging()) };
    let reader = Arc::new(Person::from(&user));
    let limit = paging.limit.unwrap_or(usize::MAX);
    let history = desk.history.read_with(&reader, other, paging.before.map(Seq::new), limit).await?;
    let body = |event| MessageBody::stored(event, &reader, history.status_of(event)?, server_url.as_str());
    let body: Vec<MessageBody<'_>> = history.messages.iter().filter_map(body).collect();
    Ok(Json(body).into_response())
}

async fn send(
    State(desk): State<Desk>,
    Caller(user): Caller,
    server_url: ServerUrl,
    ApiJson(body): ApiJson<Value>,
) -> Response {
    let text = body.get("message").or_else(|| body.get("content"));
    let (Some(receiver), Some(text)) =
        (body.get("receiverId").filter(|id| is_given(id)), text.filter(|text| is_given(text)))
    else {
        return refuse(StatusCode::BAD_REQUEST, "Receiver and message are required");
    };
    let (Some(receiver), Some(text)) = (receiver.as_str(), text.as_str()) else {
        return refuse(StatusCode::BAD_REQUEST, "Receiver and message must be strings");
    };
    let Ok(receiver) = receiver.parse::<UserId>() else {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "Server error");
    };
    let client_id = body.get("clientMessageId").and_then(Value::as_str).map(str::parse::<ClientMessageId>);
    let client_id = match client_id.transpose() {
        Ok(client_id) => client_id,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let author = Arc::new(Person::from(&user));
    let ask = SendMessage {
        author: author.clone(),
        to: Addressee::User(receiver),
        text: text.to_owned(),
        client_id,
        origin: None,
        extras: MessageExtras::default(),
    };
    match desk.messages.send_and_wait(ask).await {
        Ok(sent) => {
            let body = MessageBody::stored(&sent.event, &author, MessageStatus::Stored, server_url.as_str());
            (StatusCode::CREATED, Json(body)).into_response()
        }
        Err(error) => refuse_message(&error),
    }
}

async fn unread_count(State(desk): State<Desk>, Caller(user): Caller) -> Result<Json<Value>, ChatRefusal> {
    Ok(Json(json!({ "count": desk.conversations.unread_count(&Person::from(&user)).await? })))
}

fn is_given(value: &Value) -> bool {
    !value.is_null() && value.as_str() != Some("")
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

fn bad_paging() -> Response {
    refuse(StatusCode::BAD_REQUEST, "limit and before must be numbers")
}

fn refuse_message(error: &SendMessageError) -> Response {
    let status = status_of(error);
    if let SendMessageError::Store(_) = error {
        return refuse(status, "Server error");
    }
    let Some(limited) = error.retry_after() else { return refuse(status, &error.to_string()) };
    let body = json!({"message": error.to_string(), "code": error.code(), "retryAfterMs": limited.retry_after_ms()});
    retry_later(status, body, limited)
}

/// The store failed. The response is 503 without a reason.
struct ChatRefusal(StoreError);

impl From<StoreError> for ChatRefusal {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl IntoResponse for ChatRefusal {
    fn into_response(self) -> Response {
        tracing::warn!(error = %self.0, "A request failed: store error");
        refuse(StatusCode::SERVICE_UNAVAILABLE, "Server error")
    }
}
