//! Error responses, in the format of Django REST framework.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::accounts::log_in::LogInError;
use crate::accounts::refresh::RefreshError;
use crate::accounts::register::RegisterError;
use crate::accounts::visitors::VisitorError;
use crate::auth::PasswordError;
use crate::desk::conversations::AccessError;
use crate::desk::messages::ChangeStatusError;
use crate::desk::messages::MarkReadError;
use crate::desk::messages::ReviseError;
use crate::desk::messages::SendMessageError;
use crate::domain::BodyError;
use crate::faces::http::reply::status_of;
use crate::limits::{RateLimited, StillBanned};
use crate::net::retry_later;
use crate::store::StoreError;

/// An error response.
#[derive(Debug)]
pub(in crate::faces) struct Problem {
    status: StatusCode,
    body: Value,
    retry_after: Option<RateLimited>,
}

impl Problem {
    pub(in crate::faces) const fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, retry_after: None }
    }

    /// `{"detail": ...}`: the format of the framework's own errors.
    pub(in crate::faces) fn detail(status: StatusCode, detail: &str) -> Self {
        Self::new(status, json!({ "detail": detail }))
    }

    /// `{"error": ...}`: the format of the products' errors.
    pub(in crate::faces) fn error(status: StatusCode, error: &str) -> Self {
        Self::new(status, json!({ "error": error }))
    }

    /// 400 with the invalid fields, and why each is invalid.
    pub(in crate::faces) fn fields(fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(field, why)| ((*field).to_owned(), json!([why])));
        Self::new(StatusCode::BAD_REQUEST, Value::Object(fields.collect()))
    }

    pub(in crate::faces) fn no_credentials() -> Self {
        Self::detail(StatusCode::UNAUTHORIZED, "Authentication credentials were not provided.")
    }

    pub(in crate::faces) fn bad_token() -> Self {
        let body = json!({
            "detail": "Given token not valid for any token type",
            "code": "token_not_valid",
            "messages": [{"token_class": "AccessToken", "token_type": "access", "message": "Token is invalid"}],
        });
        Self::new(StatusCode::UNAUTHORIZED, body)
    }

    pub(in crate::faces) fn bad_refresh_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, json!({"detail": "Token is invalid", "code": "token_not_valid"}))
    }

    pub(in crate::faces) fn forbidden() -> Self {
        Self::detail(StatusCode::FORBIDDEN, "You do not have permission to perform this action.")
    }

    pub(in crate::faces) fn no_such_room() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "No ChatRoom matches the given query.")
    }

    pub(in crate::faces) fn not_found() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Not found.")
    }

    /// Adds that the caller is banned, and until when.
    pub(in crate::faces) fn banned(mut self, banned: StillBanned) -> Self {
        self.body["code"] = json!("banned");
        self.body["retryAfterMs"] = json!(banned.0.retry_after_ms());
        self.retry_after = Some(banned.0);
        self
    }

    fn retry_after(mut self, limited: RateLimited) -> Self {
        let is_limit = self.status == StatusCode::TOO_MANY_REQUESTS;
        self.body["code"] = json!(if is_limit { "rate_limited" } else { "busy" });
        self.body["retryAfterMs"] = json!(limited.retry_after_ms());
        self.retry_after = Some(limited);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let is_the_frameworks = self.body.get("detail").is_some();
        let mut response = match self.retry_after {
            Some(limited) => retry_later(self.status, self.body, limited),
            None => (self.status, Json(self.body)).into_response(),
        };
        // Only the framework's own errors carry the challenge.
        if self.status == StatusCode::UNAUTHORIZED && is_the_frameworks {
            let realm = HeaderValue::from_static("Bearer realm=\"api\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}

/// 405.
pub(in crate::faces) async fn method_not_allowed(method: Method) -> Response {
    let detail = format!("Method \"{method}\" not allowed.");
    Problem::detail(StatusCode::METHOD_NOT_ALLOWED, &detail).into_response()
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "A request failed: store error");
        Self::error(StatusCode::SERVICE_UNAVAILABLE, "Server error")
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Invalid => Self::bad_refresh_token(),
            RefreshError::Banned(banned) => Self::bad_refresh_token().banned(banned),
            RefreshError::Store(error) => error.into(),
        }
    }
}

impl From<VisitorError> for Problem {
    fn from(error: VisitorError) -> Self {
        match error {
            VisitorError::Banned(banned) => Self::forbidden().banned(banned),
            VisitorError::Store(error) => error.into(),
        }
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            // The same response for both, so that nobody learns which rooms exist.
            AccessError::NotFound | AccessError::Forbidden => Self::no_such_room(),
            AccessError::Banned(banned) => Self::forbidden().banned(banned),
            AccessError::Store(error) => error.into(),
        }
    }
}

impl From<MarkReadError> for Problem {
    fn from(error: MarkReadError) -> Self {
        match error {
            MarkReadError::NotFound => Self::no_such_room(),
            MarkReadError::Append(error) => error.into(),
            MarkReadError::Store(error) => error.into(),
        }
    }
}

impl From<ChangeStatusError> for Problem {
    fn from(error: ChangeStatusError) -> Self {
        match error {
            ChangeStatusError::NotFound => Self::no_such_room(),
            ChangeStatusError::Forbidden => Self::forbidden(),
            ChangeStatusError::Append(error) => error.into(),
            ChangeStatusError::Store(error) => error.into(),
        }
    }
}

impl From<ReviseError> for Problem {
    fn from(error: ReviseError) -> Self {
        match error {
            ReviseError::NotFound => Self::not_found(),
            ReviseError::Forbidden => Self::forbidden(),
            ReviseError::Append(error) => error.into(),
            ReviseError::Store(error) => error.into(),
        }
    }
}

impl From<SendMessageError> for Problem {
    fn from(error: SendMessageError) -> Self {
        let later = error.retry_after();
        let status = status_of(&error);
        let problem = match &error {
            SendMessageError::Body(BodyError::Blank) => return Self::error(status, "Message content is required"),
            SendMessageError::NoAddressee => return Self::no_such_room(),
            SendMessageError::Store(_) => return Self::error(status, "Server error"),
            SendMessageError::Body(BodyError::TooLong { .. } | BodyError::Nul)
            | SendMessageError::RateLimited(_)
            | SendMessageError::Busy
            | SendMessageError::ShuttingDown => Self::error(status, &error.to_string()),
        };
        match later {
            Some(limited) => problem.retry_after(limited),
            None => problem,
        }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::EmailTaken => email_taken(),
            RegisterError::UsernameTaken => username_taken(),
            RegisterError::TooManyTries(error) => log_in_problem(LogInError::TooManyTries(error), Self::bad_token()),
            RegisterError::Password(error) => password_problem(error),
            RegisterError::Store(error) => error.into(),
        }
    }
}

pub(in crate::faces) fn bad_email() -> Problem {
    Problem::fields(&[("email", "Enter a valid email address.")])
}

pub(in crate::faces) fn email_taken() -> Problem {
    Problem::fields(&[("email", "user with this email already exists.")])
}

pub(in crate::faces) fn username_taken() -> Problem {
    Problem::fields(&[("username", "A user with that username already exists.")])
}

/// A password could not be hashed or checked.
pub(in crate::faces) fn password_problem(error: PasswordError) -> Problem {
    tracing::warn!(%error, "Could not hash a password");
    Problem::detail(StatusCode::SERVICE_UNAVAILABLE, "Server is busy. Please try again.")
        .retry_after(Duration::from_secs(5).into())
}

/// A failed log-in. `wrong` is the dialect's response to wrong credentials, and also to a closed account.
pub(in crate::faces) fn log_in_problem(error: LogInError, wrong: Problem) -> Problem {
    match error {
        LogInError::Banned(banned) => wrong.banned(banned),
        LogInError::Wrong | LogInError::Blocked | LogInError::Unverified => wrong,
        LogInError::TooManyTries(tries) => {
            let problem = Problem::detail(StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Please try again later.");
            problem.retry_after(tries.retry_after.into())
        }
        LogInError::Password(error) => password_problem(error),
        LogInError::Store(error) => error.into(),
    }
}
