//! Statuses and refusals that all dialects share.

use axum::http::StatusCode;
use axum::response::Response;

use crate::desk::messages::SendMessageError;
use crate::domain::BodyError;
use crate::limits::RateLimited;
use crate::net::refusal;

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

/// 429, with a body that every dialect can read.
pub(in crate::faces) fn too_many(limited: RateLimited) -> Response {
    let message = "Too many requests. Please try again later.";
    refusal(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message, Some(limited))
}
