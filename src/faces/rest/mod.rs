//! The REST face: plain requests of the dashboards.
//!
//! Routes: [`auth`] (log in, register, codes), [`admin`] (who keeps the accounts),
//! [`sessions`] (log out), [`chat`] (the chat screen). Shared: [`body`] (what may be sent),
//! [`caller`] (who asks), [`reply`] (how it is answered).

use std::sync::Arc;

use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;

use crate::accounts::Accounts;
use crate::desk::Desk;

pub mod admin;
pub mod auth;
pub mod body;
pub mod caller;
pub mod chat;
pub mod reply;
pub mod sessions;
#[cfg(test)]
mod tests;

pub use body::ApiJson;
pub use caller::{AdminCaller, Caller};
pub use reply::Refusal;

/// What the routes about accounts need of a router's state.
#[derive(Clone)]
pub struct AccountsState(pub Arc<Accounts>);

/// What the routes of the chat screen need.
#[derive(Clone)]
struct ChatState {
    desk: Desk,
    accounts: AccountsState,
}

impl FromRef<ChatState> for Desk {
    fn from_ref(state: &ChatState) -> Self {
        state.desk.clone()
    }
}

impl FromRef<ChatState> for AccountsState {
    fn from_ref(state: &ChatState) -> Self {
        state.accounts.clone()
    }
}

/// All routes of this face, and the answer to a path that none has.
pub fn routes(desk: Desk, accounts: Arc<Accounts>) -> Router {
    let accounts = AccountsState(accounts);
    let about_accounts = Router::new().merge(auth::routes()).merge(sessions::routes()).merge(admin::routes());
    let about_chat = chat::routes().with_state(ChatState { desk, accounts: accounts.clone() });
    about_accounts.with_state(accounts).merge(about_chat).fallback(not_found).method_not_allowed_fallback(wrong_method)
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"success": false, "message": "Not found"}))).into_response()
}

async fn wrong_method() -> Response {
    let body = json!({"success": false, "message": "Method not allowed"});
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}
