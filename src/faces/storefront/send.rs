//! `send_message/`: a message to a room, by REST.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::requested_room::RequestedRoom;
use super::wire::MessageBody;
use crate::desk::messages::MarkRead;
use crate::domain::{EntryEvent, Side};
use crate::faces::channels::body::Fields;
use crate::faces::channels::reply::Problem;
use crate::faces::channels::{Channels, message, timestamps};

impl RequestedRoom {
    /// `{content}`: 201 with the message, and the same once more under `data`. The response is sent before the event that it
    /// causes.
    pub(super) async fn send(&self, fields: &Fields) -> Result<Response, Problem> {
        let RequestedRoom { channels, access, .. } = self;
        if !access.may_write {
            return Err(Problem::no_such_room());
        }
        let text = fields.text("content").unwrap_or_default().to_owned();
        let pending = channels.pending_responses.begin();
        let ask = message(access.person.clone(), self.conversation(), text, pending.origin);
        let sent = channels.desk.messages.send_and_wait(ask).await?;
        if access.side == Side::Desk {
            mark_answered_as_read(channels, &sent.event).await;
        }
        let message = json!(MessageBody::new(&sent.event, self.viewer(), false, timestamps::rest));
        let mut body = message.clone();
        body["data"] = message;
        body["message"] = json!("Message sent successfully");
        Ok(pending.until_sent((StatusCode::CREATED, Json(body)).into_response()))
    }
}

/// An agent who replies has read everything before the reply. The reply is stored already, so a failure is only logged.
async fn mark_answered_as_read(channels: &Channels, reply: &EntryEvent) {
    let read = MarkRead::In(reply.entry.conversation, Some(reply.entry.seq));
    if let Err(error) = channels.desk.messages.mark_read(&reply.author, read, None).await {
        tracing::warn!(%error, "Could not mark the messages before an agent's reply as read");
    }
}
