//! PUT, PATCH and DELETE of `/api/chat/messages/{id}/`. No frame announces them: a page sees the change when it fetches the messages
//! again.

use axum::Json;
use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::requested_room::RequestedMessage;
use crate::faces::channels::body::Fields;
use crate::faces::channels::reply::Problem;

/// `{message}`: the new text of the caller's own message. PATCH without a text changes nothing.
pub(super) async fn change(
    mut message: RequestedMessage,
    method: Method,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    match fields.text("message") {
        Some(text) => {
            let id = message.event.entry.message().ok_or_else(Problem::not_found)?.id;
            message.channels.desk.messages.edit(&message.access.person, id, text, None).await?;
            message.reload().await?;
        }
        None if method == Method::PUT => return Err(Problem::fields(&[("message", "This field is required.")])),
        None => {}
    }
    message.body().await
}

/// 204. Deletes the caller's own message; agents may delete any.
pub(super) async fn delete(
    RequestedMessage { channels, access, event, .. }: RequestedMessage,
) -> Result<StatusCode, Problem> {
    let id = event.entry.message().ok_or_else(Problem::not_found)?.id;
    channels.desk.messages.delete(&access.person, id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
