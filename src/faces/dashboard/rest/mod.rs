//! The dashboard's REST routes.
//!
//! * Routes: [`auth`] (log-in, registration, mailed codes), [`confirm_email`], [`sessions`] (log-out), [`admin`] (accounts), [`chat`]
//!   (the chat screen);
//! * for these: [`body`] (what a request carries), [`caller`] (who makes it), [`reply`] (responses).

use std::sync::Arc;

use axum::extract::{FromRef, Request};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;
use tower::ServiceExt as _;

use crate::accounts::Accounts;
use crate::desk::Desk;

pub mod admin;
pub mod auth;
pub mod body;
pub mod caller;
pub mod chat;
mod confirm_email;
pub mod reply;
pub mod sessions;
#[cfg(test)]
mod tests;

pub use body::ApiJson;
pub use caller::{AdminCaller, Caller};
pub use reply::Refusal;

/// State of the routes that work on accounts.
#[derive(Clone)]
pub struct AccountsState(pub Arc<Accounts>);

/// State of the routes of the chat screen.
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

/// All routes, and the response to unknown paths.
pub fn routes(desk: Desk, accounts: Arc<Accounts>) -> Router {
    let accounts = AccountsState(accounts);
    let account_routes = Router::new()
        .merge(auth::routes())
        .merge(confirm_email::routes())
        .merge(sessions::routes())
        .merge(admin::routes());
    let chat_routes = chat::routes().with_state(ChatState { desk, accounts: accounts.clone() });
    let routes: Router =
        account_routes.with_state(accounts.clone()).merge(chat_routes).method_not_allowed_fallback(method_not_allowed);
    let unknown = Router::new().fallback(not_found).with_state(accounts);
    let normalized = routes.clone().fallback_service(unknown.clone());
    // With state, a fallback is a service that layers wrap once. Without it, they would wrap it for each request, and the Socket.IO layer
    // would lose its sessions.
    routes.fallback(move |request: Request| normalize(normalized.clone(), unknown.clone(), request)).with_state(())
}

/// Serves a path in another letter case, or with a final slash, both of which Express accepts.
async fn normalize(routes: Router, unknown: Router, mut request: Request) -> Response {
    let routes = match normalized_uri(request.uri()) {
        Some(uri) => {
            *request.uri_mut() = uri;
            routes
        }
        None => unknown,
    };
    routes.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// A URI of the dashboard with the path as in its routes; `None` if the path is so already, or is not the dashboard's.
fn normalized_uri(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let normalized = path.strip_suffix('/').unwrap_or(path).to_ascii_lowercase();
    let is_ours = ["/api/auth/", "/api/admin/", "/api/chat/"].iter().any(|top| normalized.starts_with(top));
    if !is_ours || normalized == path {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{normalized}{query}").parse().ok()
}

/// An unknown path: 404, but 401 with an invalid token. The storefront's panels refresh their token at any 401, and request many paths
/// that this server does not have.
async fn not_found(caller: Result<Caller, Refusal>, headers: HeaderMap) -> Response {
    if let Err(refusal) = caller
        && !matches!(caller::bare_token(&headers), Ok(""))
    {
        return refusal.into_response();
    }
    (StatusCode::NOT_FOUND, Json(json!({"success": false, "message": "Not found"}))).into_response()
}

async fn method_not_allowed() -> Response {
    let body = json!({"success": false, "message": "Method not allowed"});
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}
