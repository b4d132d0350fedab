//! The operator's face: whether the server is well.

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

/// How long the store may take to show that it is well.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct Health {
    status: &'static str,
    message: &'static str,
}

/// `/` and `/health`: it runs. `/readyz`: it can also keep what is said.
pub fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/", get(health))
        .route("/health", get(health))
        .route("/livez", get(health))
        .route("/readyz", get(ready))
        .with_state(desk)
}

/// While the server waits for its store: `/livez` says that it runs, everything else that it is not ready.
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
    let checked = timeout(PATIENCE, desk.check()).await;
    match checked.unwrap_or_else(|_| Err(StoreError::Unavailable("it does not answer".into()))) {
        Ok(()) => Json(Health { status: "ok", message: "Server is ready" }).into_response(),
        Err(error) => {
            tracing::warn!(%error, "The store is not ready");
            let health = Health { status: "unavailable", message: "The store is not ready" };
            (StatusCode::SERVICE_UNAVAILABLE, Json(health)).into_response()
        }
    }
}
