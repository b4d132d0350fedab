//! Statuses of responses.

use axum::http::StatusCode;

use crate::desk::messages::SendMessageError;
use crate::domain::BodyError;

/// The status of a response to a message that was not sent.
pub(in crate::faces) fn status_of(error: &SendMessageError) -> StatusCode {
    match error {
        SendMessageError::Body(BodyError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        SendMessageError::Body(BodyError::Blank | BodyError::Nul) => StatusCode::BAD_REQUEST,
        SendMessageError::NoAddressee => StatusCode::NOT_FOUND,
        SendMessageError::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        SendMessageError::Busy | SendMessageError::ShuttingDown | SendMessageError::Store(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
