//! A poll is answered with a few packets at a time: clients in Python refuse an answer of more than sixteen, and are lost.
//!
//! The library puts all that waits into one answer. What is beyond the bound is held here, and answers the next polls before
//! anything else does. Until the last of it has been taken, nothing of that answer counts as arrived.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use parking_lot::{Mutex, MutexGuard};
use socketioxide::socket::Sid;

/// The most packets in one answer.
const PACKETS: usize = 16;

/// Stands between packets, and in none of them.
const SEPARATOR: u8 = 0x1e;

/// What is held of each session. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Portions(Arc<Mutex<HashMap<Sid, Bytes>>>);

impl Portions {
    /// Whether anything is held of a session.
    pub(super) fn holds(&self, session: Sid) -> bool {
        self.all().contains_key(&session)
    }

    /// The session is over.
    pub(super) fn forget(&self, session: Sid) {
        self.all().remove(&session);
    }

    /// The next portion of what is held; all of it if the client is about to poll no more.
    pub(super) fn next(&self, session: Sid, all_of_it: bool) -> Option<Response> {
        let held = self.all().remove(&session)?;
        let portion = if all_of_it { held } else { self.portion(session, held) };
        Some(([(CONTENT_TYPE, "text/plain; charset=UTF-8")], portion).into_response())
    }

    /// The first portion of an answer. The rest is held.
    pub(super) async fn first(&self, session: Sid, response: Response) -> Response {
        if response.status() != StatusCode::OK {
            return response;
        }
        let (mut head, body) = response.into_parts();
        // The library makes the whole body before it answers.
        let Ok(body) = body.collect().await else {
            tracing::debug!("The response to a poll was cut short");
            return Response::from_parts(head, Body::empty());
        };
        let (body, length) = (body.to_bytes(), head.headers.get(CONTENT_LENGTH).cloned());
        let whole = body.len();
        let portion = self.portion(session, body);
        if portion.len() < whole && length.is_some() {
            head.headers.insert(CONTENT_LENGTH, portion.len().into());
        }
        Response::from_parts(head, Body::from(portion))
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
    use super::*;

    async fn packets(response: Response) -> Vec<String> {
        let length =
            response.headers().get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(length.is_none_or(|length| length == body.len()));
        String::from_utf8(body.to_vec()).unwrap().split('\u{1e}').map(str::to_owned).collect()
    }

    fn answer(count: usize) -> (Response, Vec<String>) {
        let packets: Vec<String> = (0..count).map(|n| format!("42[\"e\",{n}]")).collect();
        let body = packets.join("\u{1e}");
        (([(CONTENT_LENGTH, body.len().to_string())], body).into_response(), packets)
    }

    #[tokio::test]
    async fn an_answer_comes_in_portions_in_order_and_whole() {
        for count in [1, 15, 16, 17, 32, 33, 40] {
            let (portions, session) = (Portions::default(), Sid::new());
            let (response, sent) = answer(count);
            let mut got = packets(portions.first(session, response).await).await;
            assert_eq!(portions.holds(session), count > 16, "{count}");
            while let Some(portion) = portions.next(session, false) {
                let portion = packets(portion).await;
                assert!(portion.len() <= 16, "{}", portion.len());
                got.extend(portion);
            }
            assert_eq!(got, sent, "{count}");
            assert!(!portions.holds(session));
        }
    }

    #[tokio::test]
    async fn who_is_about_to_change_to_a_websocket_gets_all_that_is_held() {
        let (portions, session) = (Portions::default(), Sid::new());
        let (response, sent) = answer(50);
        let mut got = packets(portions.first(session, response).await).await;
        got.extend(packets(portions.next(session, true).unwrap()).await);
        assert_eq!(got, sent);
        assert!(portions.next(session, true).is_none());
    }
}
