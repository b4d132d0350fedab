//! Histories are made a few at a time: one is in memory twice while it is made, as records and as JSON, so a thousand requests at
//! once would take the memory of the machine.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::limits::{RateLimited, Route};
use crate::net::{ClientAddress, is_api, refusal};

/// How many are made at the same time.
const AT_ONCE: usize = 8;

/// How many of them for one address.
const FOR_ONE: usize = AT_ONCE / 2;

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(3);

/// When a request that got no turn may come back.
const RETRY_AFTER: Duration = Duration::from_secs(2);

static TURNS: LazyLock<Turns> = LazyLock::new(Turns::default);

/// Lets a request for a history wait for its turn: 503 if that takes too long. How long its response takes to be read plays no part.
pub async fn histories_in_turn(request: Request, next: Next) -> Response {
    if request.method() != Method::GET || !is_history(request.uri().path()) {
        return next.run(request).await;
    }
    let Some(_turn) = TURNS.wait(ClientAddress::of(request.extensions()).route()).await else { return busy() };
    next.run(request).await
}

struct Turns {
    all: Semaphore,
    /// By address. Those that nobody holds or waits for are forgotten now and then.
    shares: Mutex<HashMap<Route, Arc<Semaphore>>>,
}

/// Held while a history is made.
type Turn<'a> = (OwnedSemaphorePermit, SemaphorePermit<'a>);

impl Default for Turns {
    fn default() -> Self {
        Self { all: Semaphore::new(AT_ONCE), shares: Mutex::default() }
    }
}

impl Turns {
    /// `None` if it takes too long.
    async fn wait(&self, client: Route) -> Option<Turn<'_>> {
        let share = self.share(client);
        let turn = async { Some((share.acquire_owned().await.ok()?, self.all.acquire().await.ok()?)) };
        timeout(PATIENCE, turn).await.ok().flatten()
    }

    fn share(&self, client: Route) -> Arc<Semaphore> {
        let mut shares = self.shares.lock();
        if shares.len() == shares.capacity() {
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        shares.entry(client).or_insert_with(|| Arc::new(Semaphore::new(FOR_ONE))).clone()
    }
}

fn busy() -> Response {
    tracing::debug!("Too many histories are requested at once");
    let message = "The server is busy. Please try again later.";
    refusal(StatusCode::SERVICE_UNAVAILABLE, "busy", message, Some(RateLimited::from(RETRY_AFTER)))
}

/// Whether GET answers with the messages of a conversation, in whichever dialect.
fn is_history(path: &str) -> bool {
    if !is_api(path) {
        return false;
    }
    // One of the dialects takes any letter case, with or without a slash at the end.
    let path = path.trim_end_matches('/').to_ascii_lowercase();
    match path.split('/').skip(2).collect::<Vec<_>>()[..] {
        // A number is that of a single message.
        ["chat", "messages", of] => !of.bytes().all(|byte| byte.is_ascii_digit()),
        ["chat", "messages"]
        | ["public" | "admin", "chat-messages"]
        | ["public", "chat-rooms" | "user-chat"]
        | ["public" | "admin", "chat-rooms", _]
        | ["public" | "admin", "chat-rooms", _, "get_messages"] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;
    use crate::limits::Source;

    fn client(host: u8) -> Route {
        Route::direct(Source::of([10, 0, 0, host].into()))
    }

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
            assert_eq!(is_history(path), waits, "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_three_seconds_and_nobody_takes_them_all() {
        let turns = Turns::default();
        let mut held = Vec::new();
        for _ in 0..FOR_ONE {
            held.push(turns.wait(client(1)).await.unwrap());
        }
        let began = tokio::time::Instant::now();
        assert!(turns.wait(client(1)).await.is_none(), "one address has more than its share");
        assert_eq!(began.elapsed(), PATIENCE);
        for _ in FOR_ONE..AT_ONCE {
            held.push(turns.wait(client(2)).await.unwrap());
        }
        assert!(turns.wait(client(3)).await.is_none(), "more than {AT_ONCE} at once");
        let (next, ()) = tokio::join!(turns.wait(client(3)), async { drop(held.pop()) });
        assert!(next.is_some(), "a turn that was given back is given on");
        drop((next, held));
        for host in 0..=u8::MAX {
            assert!(turns.wait(client(host)).await.is_some());
        }
        assert!(turns.shares.lock().len() < 32, "addresses are forgotten");
    }

    #[test]
    fn whoever_gets_no_turn_is_told_when_to_come_back() {
        let response = busy();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
