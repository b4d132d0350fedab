//! `/api/auth/logout`, `/api/auth/logout-everywhere`: end sessions.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;

use super::body::{ApiJson, Text, given};
use super::caller::bare_token;
use super::reply::done;
use super::{AccountsState, Caller, Refusal};

/// The routes that end sessions.
pub(super) fn routes() -> Router<AccountsState> {
    Router::new()
        .route("/api/auth/logout", post(log_out))
        .route("/api/auth/logout/", post(log_out))
        .route("/api/auth/logout-everywhere", post(log_out_everywhere))
        .route("/api/auth/logout-everywhere/", post(log_out_everywhere))
}

#[derive(Deserialize)]
struct LogOutBody {
    refresh: Option<Text>,
}

/// `POST /api/auth/logout` `{refresh?}`: 200. Ends the session of the bearer token, and of the refresh token if one is given.
async fn log_out(
    State(AccountsState(accounts)): State<AccountsState>,
    headers: HeaderMap,
    ApiJson(body): ApiJson<LogOutBody>,
) -> Result<Response, Refusal> {
    accounts.log_out(bare_token(&headers)?, given(body.refresh).as_deref()).await?;
    Ok(done(StatusCode::OK, "Logged out"))
}

/// `POST /api/auth/logout-everywhere`: 200. Ends all sessions of the account, including this one.
async fn log_out_everywhere(
    State(AccountsState(accounts)): State<AccountsState>,
    Caller(user): Caller,
) -> Result<Response, Refusal> {
    accounts.log_out_everywhere(user.id).await?;
    Ok(done(StatusCode::OK, "Logged out everywhere"))
}
