//! Splits the response to a poll into portions of a few packets. Python clients fail on a response with more than sixteen.
//!
//! engineioxide puts everything queued into one response. What exceeds the limit is held here for the next polls. Nothing of the
//! response counts as arrived until the client has fetched all of it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use socketioxide::socket::Sid;

use super::packets::SEPARATOR;

/// Most packets in one response.
const PACKETS: usize = 16;

/// What is held per session. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Portions(Arc<Mutex<HashMap<Sid, Bytes>>>);

impl Portions {
    /// Whether anything is held for a session.
    pub(super) fn holds(&self, session: Sid) -> bool {
        self.all().contains_key(&session)
    }

    /// Drops what is held for a session that has ended.
    pub(super) fn forget(&self, session: Sid) {
        self.all().remove(&session);
    }

    /// The next portion; with `all_of_it` everything, for a client that is about to stop polling.
    pub(super) fn next(&self, session: Sid, all_of_it: bool) -> Option<Response> {
        let held = self.all().remove(&session)?;
        let portion = if all_of_it { held } else { self.portion(session, held) };
        Some(([(CONTENT_TYPE, "text/plain; charset=UTF-8")], portion).into_response())
    }

    /// The first portion of a response with these packets. Holds the rest.
    pub(super) fn first(&self, session: Sid, mut response: Response, packets: Bytes) -> Response {
        let whole = packets.len();
        let portion = self.portion(session, packets);
        if portion.len() < whole {
            if response.headers().contains_key(CONTENT_LENGTH) {
                response.headers_mut().insert(CONTENT_LENGTH, portion.len().into());
            }
            *response.body_mut() = Body::from(portion);
        }
        response
    }

    fn portion(&self, session: Sid, mut packets: Bytes) -> Bytes {
        let mut separators = packets.iter().enumerate().filter(|(_, byte)| **byte == SEPARATOR);
        let Some((end, _)) = separators.nth(PACKETS - 1) else { return packets };
        let portion = packets.split_to(end);
        self.all().insert(session, packets.slice(1..));
        portion
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Sid, Bytes>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::faces::socketio::packets::read;

    async fn packets(response: Response) -> Vec<String> {
        let length =
            response.headers().get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(length.is_none_or(|length| length == body.len()));
        String::from_utf8(body.to_vec()).unwrap().split('\u{1e}').map(str::to_owned).collect()
    }

    async fn first(portions: &Portions, session: Sid, response: Response) -> Response {
        let (response, packets) = read(response).await;
        portions.first(session, response, packets)
    }

    fn response_of(count: usize) -> (Response, Vec<String>) {
        let packets: Vec<String> = (0..count).map(|n| format!("42[\"e\",{n}]")).collect();
        let body = packets.join("\u{1e}");
        (([(CONTENT_LENGTH, body.len().to_string())], body).into_response(), packets)
    }

    #[tokio::test]
    async fn a_response_is_sent_in_portions_in_order_and_whole() {
        for count in [1, 15, 16, 17, 32, 33, 40] {
            let (portions, session) = (Portions::default(), Sid::new());
            let (response, sent) = response_of(count);
            let mut received = packets(first(&portions, session, response).await).await;
            assert_eq!(portions.holds(session), count > 16, "{count}");
            while let Some(portion) = portions.next(session, false) {
                let portion = packets(portion).await;
                assert!(portion.len() <= 16, "{}", portion.len());
                received.extend(portion);
            }
            assert_eq!(received, sent, "{count}");
            assert!(!portions.holds(session));
        }
    }

    #[tokio::test]
    async fn a_client_that_is_being_upgraded_receives_everything_that_is_held() {
        let (portions, session) = (Portions::default(), Sid::new());
        let (response, sent) = response_of(50);
        let mut received = packets(first(&portions, session, response).await).await;
        received.extend(packets(portions.next(session, true).unwrap()).await);
        assert_eq!(received, sent);
        assert!(portions.next(session, true).is_none());
    }
}
