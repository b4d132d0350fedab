//! Histories are made a few at a time: one is in memory twice while it is made, as records and as JSON, so a thousand requests at
//! once would take the memory of the machine.

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

/// How many are made at the same time.
const AT_ONCE: usize = 4;

/// How long a request waits for its turn. Longer than it takes to serve all pages that come back after a restart.
const PATIENCE: Duration = Duration::from_secs(15);

/// When a request that got no turn may come back.
const RETRY_AFTER: Duration = Duration::from_secs(2);

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Lets a request for a history wait for its turn: 503 if that takes too long. How long its response takes to be read plays no part.
pub async fn histories_in_turn(request: Request, next: Next) -> Response {
    if !is_history(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let Some(_turn) = turn(&TURNS).await else { return busy() };
    next.run(request).await
}

/// `None` if it takes too long.
async fn turn(turns: &Semaphore) -> Option<SemaphorePermit<'_>> {
    timeout(PATIENCE, turns.acquire()).await.ok()?.ok()
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
    // One of the dialects takes any letter case, with or without a slash at the end.
    let path = path.trim_end_matches('/').to_ascii_lowercase();
    let is_get = method == Method::GET;
    let may_change = [Method::GET, Method::POST, Method::PUT, Method::PATCH].contains(method);
    match path.split('/').skip(2).collect::<Vec<_>>()[..] {
        // A number is that of a single message.
        ["chat", "messages", of] => is_get && !of.bytes().all(|byte| byte.is_ascii_digit()),
        ["chat", "messages"]
        | ["public" | "admin", "chat-messages"]
        | ["public" | "admin", "chat-rooms", _, "get_messages"] => is_get,
        // Rooms are shown with all their messages, also when they are opened, changed or closed.
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
    fn rooms_wait_whatever_is_done_to_them_and_sending_does_not() {
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
    async fn a_turn_is_waited_for_so_long_and_is_given_on() {
        let turns = Semaphore::new(1);
        let held = turn(&turns).await;
        assert!(held.is_some());
        let began = tokio::time::Instant::now();
        assert!(turn(&turns).await.is_none());
        assert_eq!(began.elapsed(), PATIENCE);
        let (next, ()) = tokio::join!(turn(&turns), async { drop(held) });
        assert!(next.is_some());
    }

    #[test]
    fn whoever_gets_no_turn_is_told_when_to_come_back() {
        let response = busy();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
