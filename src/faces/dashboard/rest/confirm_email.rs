//! The page behind the mailed link that confirms a new e-mail address. The frontends have no page for it.
//!
//! Opening the link only shows a button, because mail scanners open links, too.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use serde::Deserialize;

use super::AccountsState;
use crate::accounts::change_email::ConfirmEmailError;

pub(super) fn routes() -> Router<AccountsState> {
    Router::new().route("/api/auth/confirm-email", get(ask).post(confirm))
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

/// `GET /api/auth/confirm-email?token=`: a page with a button, which posts to the same address.
async fn ask() -> Response {
    page(StatusCode::OK, "<form method=\"post\"><button>Confirm my new e-mail address</button></form>")
}

/// `POST /api/auth/confirm-email?token=`: 200 if the address has changed, 400 if the link is invalid.
async fn confirm(State(AccountsState(accounts)): State<AccountsState>, Query(link): Query<Link>) -> Response {
    match accounts.confirm_email(&link.token).await {
        Ok(()) => page(StatusCode::OK, "<p>Your e-mail address has been changed.</p>"),
        Err(ConfirmEmailError::Invalid) => {
            page(StatusCode::BAD_REQUEST, "<p>This link is not valid, or was used before.</p>")
        }
        Err(ConfirmEmailError::Store(error)) => {
            tracing::error!(%error, "A request failed: store error");
            page(StatusCode::SERVICE_UNAVAILABLE, "<p>The server is busy. Please try again.</p>")
        }
    }
}

fn page(status: StatusCode, content: &'static str) -> Response {
    const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
                        <meta name=\"viewport\" content=\"width=device-width\"><title>E-mail address</title>";
    let headers = [
        (CONTENT_SECURITY_POLICY, "default-src 'none'; form-action 'self'; frame-ancestors 'none'"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, Html(format!("{HEAD}{content}"))).into_response()
}
