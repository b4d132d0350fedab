//! The answer to a request comes before the echo of what it did, on every socket that the same page may have: the frontends drop the echo
//! of what they know already, but not the answer.
//!
//! The two travel on connections of their own, often through a proxy, and a busy browser handles them in any order. Nothing tells when a
//! page has the answer, so the echo waits long enough for all of that. A socket which can only be somebody else's gets it at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http_body_util::BodyExt as _;
use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::domain::ConnectionId;

/// How much longer an echo waits once its answer was handed to the connection: more than a proxy and a busy page need, and
/// hardly noticed in a second tab.
const HEAD_START: Duration = Duration::from_millis(300);

/// Requests that are being answered, under the origin that their entries carry.
#[derive(Debug, Default)]
pub(in crate::faces) struct PendingResponses(Mutex<HashMap<ConnectionId, CancellationToken>>);

/// A request that is being answered. Once this is dropped, its echoes go out.
pub(in crate::faces) struct PendingResponse {
    pub(in crate::faces) origin: ConnectionId,
    pending_responses: Arc<PendingResponses>,
    gate: CancellationToken,
}

impl PendingResponses {
    /// Begins to hold back the echoes of a request.
    pub(in crate::faces) fn begin(self: &Arc<Self>) -> PendingResponse {
        let (origin, gate) = (ConnectionId::next(), CancellationToken::new());
        self.gates().insert(origin, gate.clone());
        PendingResponse { origin, pending_responses: self.clone(), gate }
    }

    /// What the echo of this origin has to wait for.
    pub(in crate::faces) fn gate(&self, origin: Option<ConnectionId>) -> Option<CancellationToken> {
        self.gates().get(&origin?).cloned()
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<ConnectionId, CancellationToken>> {
        self.0.lock()
    }
}

impl PendingResponse {
    /// Ties this to the answer: the server drops a body when it has been handed to the connection.
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
        self.pending_responses.gates().remove(&self.origin);
        let gate = self.gate.clone();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                tokio::time::sleep(HEAD_START).await;
                gate.cancel();
            })),
            Err(_) => gate.cancel(),
        }
    }
}
