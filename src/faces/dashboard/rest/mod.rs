//! The REST face: plain requests of the dashboards.
//!
//! Routes: [`auth`] (log in, register, codes), [`admin`] (who keeps the accounts),
//! [`sessions`] (log out), [`chat`] (the chat screen). Shared: [`body`] (what may be sent),
//! [`caller`] (who asks), [`reply`] (how it is answered).

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
    // With its state, a fallback is a service that layers wrap once. Without, they would wrap it anew for each request, and the
    // Socket.IO layer would forget its sessions.
    routes.fallback(move |request: Request| as_usual(usual.clone(), nothing.clone(), request)).with_state(())
}

/// Answers a path in another spelling: Express takes any letter case, and a slash at the end.
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

/// A path of the dashboard in the spelling of its routes; `None` if it has that already, or is none.
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

/// Nothing is here. A bad token is refused all the same: the shop's panels get a new one at any 401, and ask for much that this
/// server does not have.
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
