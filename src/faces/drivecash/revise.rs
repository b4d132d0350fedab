//! PUT, PATCH and DELETE of `/api/chat/messages/{id}/`. No frame tells of them: a page sees them when it asks again.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::messages::{body_of, find};
use crate::faces::channels::Channels;
use crate::faces::channels::body::Fields;
use crate::faces::channels::caller::Caller;
use crate::faces::channels::reply::Problem;
use crate::net::ServerUrl;

/// `{message}`: what the caller's own message shall say. PATCH without a text changes nothing.
pub(super) async fn change(
    State(channels): State<Channels>,
    Caller(user): Caller,
    Path(number): Path<String>,
    method: Method,
    server: ServerUrl,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let (mut entered, mut told) = find(&channels, &user, &number).await?;
    match fields.text("message") {
        Some(text) => {
            let id = told.entry.message().ok_or_else(Problem::not_found)?.id;
            channels.desk.edit_message(&entered.person, id, text, None).await?;
            (entered, told) = find(&channels, &user, &number).await?;
        }
        None if method == Method::PUT => return Err(Problem::fields(&[("message", "This field is required.")])),
        None => {}
    }
    body_of(&channels, &entered, told, &server).await
}

/// The caller's own message, or for an agent any: 204.
pub(super) async fn delete(
    State(channels): State<Channels>,
    Caller(user): Caller,
    Path(number): Path<String>,
) -> Result<StatusCode, Problem> {
    let (entered, told) = find(&channels, &user, &number).await?;
    let id = told.entry.message().ok_or_else(Problem::not_found)?.id;
    channels.desk.delete_message(&entered.person, id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
