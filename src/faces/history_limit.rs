//! Limits how many history responses are built at the same time. One is in memory twice while it is built, as records and as JSON,
//! so a thousand at once would exhaust the memory of the machine.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::http::head::is_api;
use crate::limits::RateLimited;
use crate::net::refusal;

/// How many are built at the same time.
const AT_ONCE: usize = 4;

/// Longest time that a request waits. Longer than it takes to serve all pages that reconnect after a restart.
const MAX_WAIT: Duration = Duration::from_secs(15);

/// `Retry-After` of a request that has waited too long.
const RETRY_AFTER: Duration = Duration::from_secs(2);

static PERMITS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Middleware: a request for a history waits for a permit, and gets 503 if that takes too long. The permit is released before the
/// client reads the response.
pub async fn limit_histories(request: Request, next: Next) -> Response {
    if !is_history(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let Some(_permit) = acquire(&PERMITS).await else { return busy() };
    next.run(request).await
}

/// Waits for a permit; `None` after [`MAX_WAIT`].
async fn acquire(permits: &Semaphore) -> Option<SemaphorePermit<'_>> {
    timeout(MAX_WAIT, permits.acquire()).await.ok()?.ok()
}

fn busy() -> Response {
    tracing::debug!("Too many histories are requested at once");
    let message = "The server is busy. Please try again later.";
    refusal(StatusCode::SERVICE_UNAVAILABLE, "busy", message, Some(RateLimited::from(RETRY_AFTER)))
}

/// Whether the response contains the messages of a conversation, in any dialect.
fn is_history(method: &Method, path: &str) -> bool {
    if !is_api(path) {
        return false;
    }
    // The dashboard's routes accept any letter case, with or without a final slash.
    let path = path.trim_end_matches('/').to_ascii_lowercase();
    let is_get = method == Method::GET;
    let may_change = [Method::GET, Method::POST, Method::PUT, Method::PATCH].contains(method);
    match path.split('/').skip(2).collect::<Vec<_>>()[..] {
        // A number names a single message of the portal.
        ["chat", "messages", of] => is_get && !of.bytes().all(|byte| byte.is_ascii_digit()),
        ["chat", "messages"]
        | ["public" | "admin", "chat-messages"]
        | ["public" | "admin", "chat-rooms", _, "get_messages"] => is_get,
        // Responses about a room contain all its messages, also when it is created, changed or closed.
        ["public", "chat-rooms" | "user-chat"]
        | ["public" | "admin", "chat-rooms", _]
        | ["public" | "admin", "chat-rooms", _, "close_room"] => may_change,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn only_histories_wait() {
        for (path, waits) in [
            ("/api/chat/messages/0123456789abcdef01234567", true),
            ("/API/Chat/Messages/0123456789abcdef01234567/", true),
            ("/api/chat/messages/", true),
            ("/api/chat/messages/room_messages/", true),
            ("/api/chat/messages/12/", false),
            ("/api/admin/chat-messages/", true),
            ("/api/public/chat-messages/12/", false),
            ("/api/public/chat-rooms/a-b/get_messages/", true),
            ("/api/public/chat-rooms/a-b/", true),
            ("/api/admin/chat-rooms/", false),
            ("/api/chat/conversations", false),
            ("/media/messages.pdf", false),
            ("/console/messages.js", false),
        ] {
            assert_eq!(is_history(&Method::GET, path), waits, "{path}");
        }
    }

    #[test]
    fn all_requests_for_a_room_wait_except_sending() {
        for (method, path, waits) in [
            (Method::POST, "/api/public/chat-rooms/", true),
            (Method::POST, "/api/public/user-chat/", true),
            (Method::PATCH, "/api/admin/chat-rooms/a-b/close_room/", true),
            (Method::PUT, "/api/admin/chat-rooms/a-b/", true),
            (Method::POST, "/api/public/chat-rooms/a-b/send_message/", false),
            (Method::POST, "/api/chat/messages", false),
            (Method::POST, "/api/public/chat-messages/", false),
        ] {
            assert_eq!(is_history(&method, path), waits, "{method} {path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_permit_up_to_a_limit() {
        let permits = Semaphore::new(1);
        let held = acquire(&permits).await;
        assert!(held.is_some());
        let began = tokio::time::Instant::now();
        assert!(acquire(&permits).await.is_none());
        assert_eq!(began.elapsed(), MAX_WAIT);
        let (next, ()) = tokio::join!(acquire(&permits), async { drop(held) });
        assert!(next.is_some());
    }

    #[test]
    fn a_busy_response_says_when_to_retry() {
        let response = busy();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
