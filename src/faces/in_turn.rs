//! Histories are made a few at a time: one is in memory twice while it is made, as records and as JSON, so a thousand requests at
//! once would take the memory of the machine.

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;

/// How many are made at the same time.
const AT_ONCE: usize = 8;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Lets a request for messages wait for its turn. How long its response takes to be read plays no part.
pub async fn histories_in_turn(request: Request, next: Next) -> Response {
    let is_history = request.method() == Method::GET && request.uri().path().contains("messages");
    let _turn = if is_history { TURNS.acquire().await.ok() } else { None };
    next.run(request).await
}
