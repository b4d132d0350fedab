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
    let about_accounts = Router::new()
        .merge(auth::routes())
        .merge(confirm_email::routes())
        .merge(sessions::routes())
        .merge(admin::routes());
    let about_chat = chat::routes().with_state(ChatState { desk, accounts: accounts.clone() });
    let routes: Router =
        about_accounts.with_state(accounts.clone()).merge(about_chat).method_not_allowed_fallback(wrong_method);
    let nothing = Router::new().fallback(not_found).with_state(accounts);
    let usual = routes.clone().fallback_service(nothing.clone());
    // With state, a fallback is a service that layers wrap once. Without it, they would wrap it for each request, and the Socket.IO layer
    // would lose its sessions.
    routes.fallback(move |request: Request| as_usual(usual.clone(), nothing.clone(), request)).with_state(())
}

/// Serves a path in another spelling. Express accepts any letter case, and a slash at the end.
async fn as_usual(routes: Router, nothing: Router, mut request: Request) -> Response {
    let routes = match usual_spelling(request.uri()) {
        Some(usual) => {
            *request.uri_mut() = usual;
            routes
        }
        None => nothing,
    };
    routes.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// A path of the dashboard in the spelling of its routes; `None` if it is spelled so already, or is none of the dashboard's.
fn usual_spelling(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let usual = path.strip_suffix('/').unwrap_or(path).to_ascii_lowercase();
    let is_ours = ["/api/auth/", "/api/admin/", "/api/chat/"].iter().any(|top| usual.starts_with(top));
    if !is_ours || usual == path {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{usual}{query}").parse().ok()
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

async fn wrong_method() -> Response {
    let body = json!({"success": false, "message": "Method not allowed"});
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}
