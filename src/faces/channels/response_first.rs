//! Sends the response to a request before the event that the request caused, on every socket that may belong to the same page.
//!
//! The frontends ignore an event about a message that they show already, but they append every response. Response and event travel
//! on different connections, often through a proxy, and a busy browser may handle them in any order. The server cannot see when a page
//! has handled the response, so the event is held back for a while. Sockets of other people receive it at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http_body_util::BodyExt as _;
use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::domain::ConnectionId;

/// How long an event is held back after the response was passed to its connection: longer than a proxy and a busy page need, and
/// hardly noticeable in a second tab.
const HEAD_START: Duration = Duration::from_millis(300);

/// Requests without a complete response, by the origin of the entries that they append.
#[derive(Debug, Default)]
pub(in crate::faces) struct PendingResponses(Mutex<HashMap<ConnectionId, CancellationToken>>);

/// A request without a complete response. Its events are released [`HEAD_START`] after this is dropped.
pub(in crate::faces) struct PendingResponse {
    pub(in crate::faces) origin: ConnectionId,
    pending_responses: Arc<PendingResponses>,
    release: CancellationToken,
}

impl PendingResponses {
    /// Starts to hold back the events of a request.
    pub(in crate::faces) fn begin(self: &Arc<Self>) -> PendingResponse {
        let (origin, release) = (ConnectionId::next(), CancellationToken::new());
        self.releases().insert(origin, release.clone());
        PendingResponse { origin, pending_responses: self.clone(), release }
    }

    /// Cancelled when an event with this origin may be sent; `None` if it may be sent at once.
    pub(in crate::faces) fn release_of(&self, origin: Option<ConnectionId>) -> Option<CancellationToken> {
        self.releases().get(&origin?).cloned()
    }

    fn releases(&self) -> MutexGuard<'_, HashMap<ConnectionId, CancellationToken>> {
        self.0.lock()
    }
}

impl PendingResponse {
    /// Ties this to the response: the server drops a body once it was passed to the connection.
    pub(in crate::faces) fn until_sent(self, response: Response) -> Response {
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _held = &self;
                frame
            }))
        })
    }
}

impl Drop for PendingResponse {
    fn drop(&mut self) {
        self.pending_responses.releases().remove(&self.origin);
        let release = self.release.clone();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                tokio::time::sleep(HEAD_START).await;
                release.cancel();
            })),
            Err(_) => release.cancel(),
        }
    }
}
