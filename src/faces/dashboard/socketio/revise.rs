//! `edit-message` and `delete-message`.

use std::sync::Arc;

use serde::Serialize;
use socketioxide::extract::AckSender;

use super::Shared;
use super::handlers::unavailable;
use crate::desk::messages::{ReviseError, Revised};
use crate::domain::{MessageId, Person};
use crate::faces::dashboard::wire::{Done, ErrorCode, MessageEdit, Problem};
use crate::presence::Connection as _;

pub(super) async fn edit_message(
    connection: &Shared,
    author: &Arc<Person>,
    MessageEdit { message, text }: MessageEdit,
    ack: Option<AckSender>,
) {
    let edited = connection.desk.messages.edit(author, message, &text, Some(connection.id())).await;
    acknowledge(connection, ack, edited, "Failed to edit message");
}

pub(super) async fn delete_message(
    connection: &Shared,
    author: &Arc<Person>,
    message: Option<MessageId>,
    ack: Option<AckSender>,
) {
    let Some(message) = message else {
        let problem = Problem::new(ErrorCode::Invalid, "messageId must be an id of 24 hex digits");
        return connection.refuse(ack, &problem);
    };
    let deleted = connection.desk.messages.delete(author, message, Some(connection.id())).await;
    acknowledge(connection, ack, deleted, "Failed to delete message");
}

/// The acknowledgement of `edit-message` and `delete-message`.
///
/// Shape: `{"messageId": "6b01...", "conversationId": "6b01...", "seq": 7, "at": "2026-11-21T11:56:42.508Z"}`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RevisedBody {
    message_id: String,
    conversation_id: String,
    seq: u64,
    at: String,
}

fn acknowledge(
    connection: &Shared,
    ack: Option<AckSender>,
    outcome: Result<Revised, ReviseError>,
    failed: &'static str,
) {
    match outcome {
        Ok(revised) => {
            let body = RevisedBody {
                message_id: revised.message.to_string(),
                conversation_id: revised.conversation.to_string(),
                seq: revised.seq.get(),
                at: revised.at.to_string(),
            };
            connection.acknowledge(ack, &Done::with(body));
        }
        Err(error) => {
            let problem = Problem::from(error);
            connection.refuse(ack, &Problem { message: failed, ..problem });
        }
    }
}

impl From<ReviseError> for Problem {
    fn from(error: ReviseError) -> Self {
        match error {
            ReviseError::NotFound => Self::not_sent(ErrorCode::NotFound, error.to_string()),
            ReviseError::Forbidden => Self::not_sent(ErrorCode::Forbidden, error.to_string()),
            ReviseError::Append(error) => error.into(),
            ReviseError::Store(error) => unavailable(&error),
        }
    }
}
