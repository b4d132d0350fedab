//! Health checks for operators and load balancers.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::time::timeout;

use crate::desk::Desk;
use crate::store::StoreError;

/// How long the store may take to answer.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct Health {
    status: &'static str,
    message: &'static str,
}

/// `/`, `/health` and `/livez`: the server runs. `/readyz`: it can also persist messages.
pub fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/", get(health))
        .route("/health", get(health))
        .route("/livez", get(health))
        .route("/readyz", get(ready))
        .with_state(desk)
}

/// Routes while the server waits for its store: `/livez` answers 200, everything else 503.
pub fn starting_routes() -> Router {
    Router::new().route("/livez", get(health)).fallback(starting)
}

async fn starting() -> Response {
    let health = Health { status: "unavailable", message: "The server waits for its store" };
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], Json(health)).into_response()
}

async fn health() -> Json<Health> {
    Json(Health { status: "ok", message: "Server is healthy" })
}

async fn ready(State(desk): State<Desk>) -> Response {
    let checked = timeout(STORE_TIMEOUT, desk.check()).await;
    match checked.unwrap_or_else(|_| Err(StoreError::Unavailable("it does not answer".into()))) {
        Ok(()) => Json(Health { status: "ok", message: "Server is ready" }).into_response(),
        Err(error) => {
            tracing::warn!(%error, "The store is not ready");
            let health = Health { status: "unavailable", message: "The store is not ready" };
            (StatusCode::SERVICE_UNAVAILABLE, Json(health)).into_response()
        }
    }
}
