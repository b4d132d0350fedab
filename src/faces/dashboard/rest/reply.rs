//! Responses: `{success, message}`.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::accounts::throttle::TooManyTries;
use crate::auth::PasswordError;
use crate::limits::{RateLimited, StillBanned};
use crate::net::retry_later;
use crate::store::StoreError;

/// An error response: `{success: false, message}`. The message is for people and never contains a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    message: &'static str,
    retry_after: Option<RateLimited>,
    /// The caller is banned until then.
    is_ban: bool,
}

/// The body of a response with a message only.
#[derive(Serialize)]
struct Sentence {
    success: bool,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(rename = "retryAfterMs", skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

/// A successful response: `{success: true, message}`.
pub(super) fn done(status: StatusCode, message: &'static str) -> Response {
    (status, Json(Sentence { success: true, message, code: None, retry_after_ms: None })).into_response()
}

impl Refusal {
    /// An error with this status.
    #[must_use]
    pub const fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message, retry_after: None, is_ban: false }
    }

    /// 400: the request is invalid.
    #[must_use]
    pub const fn bad_request(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: the client should log in.
    #[must_use]
    pub const fn unauthorized(message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403: the account may not do this.
    #[must_use]
    pub const fn forbidden(message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: it does not exist.
    #[must_use]
    pub const fn not_found(message: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 409: it conflicts with something that exists.
    #[must_use]
    pub const fn conflict(message: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 413: the request is too large.
    #[must_use]
    pub const fn too_large(message: &'static str) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// Adds that the caller is banned, and until when.
    #[must_use]
    pub const fn banned(self, banned: StillBanned) -> Self {
        Self { retry_after: Some(banned.0), is_ban: true, ..self }
    }

    const fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(RateLimited { retry_after }), ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = match self.status {
            _ if self.is_ban => "banned",
            StatusCode::TOO_MANY_REQUESTS => "rate_limited",
            _ => "busy",
        };
        let body = Sentence {
            success: false,
            message: self.message,
            code: self.retry_after.map(|_| code),
            retry_after_ms: self.retry_after.map(|limited| limited.retry_after_ms()),
        };
        match self.retry_after {
            Some(limited) => retry_later(self.status, body, limited),
            None => (self.status, Json(body)).into_response(),
        }
    }
}

/// The cause is only logged. The status says whether a retry may succeed.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "A request failed: store error");
        match error {
            StoreError::Unavailable(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "Server error"),
            StoreError::Refused(_) | StoreError::Corrupt(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Server error")
            }
        }
    }
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::TooLong => Self::bad_request("Password is too long"),
            PasswordError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "Server is busy. Please try again.")
                .retry_after(Duration::from_secs(5)),
            PasswordError::Failed => {
                tracing::error!(%error, "A request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Server error")
            }
        }
    }
}

impl From<TooManyTries> for Refusal {
    fn from(error: TooManyTries) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Please try again later.")
            .retry_after(error.retry_after)
    }
}
