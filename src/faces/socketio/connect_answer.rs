//! Adds a `pid` to the packet that tells a client that it is connected.
//!
//! The stock client (4.6 and later) recovers its state after a lost connection if that packet carries one. socketioxide has no
//! way to add it: it makes the packet of the session's id alone, `40{"sid":"..."}`. Since that id is known before the packet
//! is sent, so are its exact bytes, and they are replaced where they pass through this server: in what a websocket writes
//! (`HangUp::replace_once`), and in the body that answers a poll ([`in_answer`]). If the library changes the packet's form,
//! nothing is replaced, no client recovers, and `tests/it/recovery.rs` fails.
//!
//! To be deleted, with `net/rewrite.rs`, once socketioxide can send it (its issue 729).

use std::fmt::Display;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

use crate::net::HangUp;

/// The packet of one session, as long as it may still be sent in the answer to a poll.
#[derive(Debug, Default)]
pub(in crate::faces) struct ConnectAnswer(Mutex<Option<Packet>>);

#[derive(Debug, Clone)]
struct Packet {
    without: String,
    with: String,
}

impl ConnectAnswer {
    /// From now on the packet of this session in this namespace carries this `pid` in the answer to a poll.
    /// [`carry`](Self::carry) does the same for a websocket.
    pub(in crate::faces) fn add(&self, session: impl Display, namespace: &str, pid: &str) {
        let namespace = if namespace == "/" { String::new() } else { format!("{namespace},") };
        let without = format!(r#"40{namespace}{{"sid":"{session}"}}"#);
        let with = format!(r#"40{namespace}{{"sid":"{session}","pid":"{pid}"}}"#);
        *self.packet() = Some(Packet { without, with });
    }

    /// This websocket may be what the packet is sent on. While a client changes to it, polls may still bring the packet.
    pub(in crate::faces) fn carry(&self, websocket: &HangUp) {
        if let Some(packet) = self.packet().as_ref() {
            packet.replace_on(websocket);
        }
    }

    /// No poll brings the packet any more.
    pub(in crate::faces) fn leave_to_websocket(&self) {
        drop(self.packet().take());
    }

    /// Whether a poll may be answered with it.
    pub(in crate::faces) fn is_due(&self) -> bool {
        self.packet().is_some()
    }

    /// The answer to a poll, with the `pid` if the packet is in it.
    pub(in crate::faces) async fn in_answer(&self, response: Response) -> Response {
        let Some(Packet { without, with }) = self.packet().clone() else { return response };
        let (mut head, body) = response.into_parts();
        // The library makes the whole body before it answers.
        let Ok(body) = body.collect().await else {
            tracing::debug!("The response to a poll was cut short");
            return Response::from_parts(head, Body::empty());
        };
        let body = body.to_bytes();
        match std::str::from_utf8(&body).ok().and_then(|text| text.split_once(&without)) {
            Some((before, after)) => {
                self.packet().take();
                head.headers.remove(CONTENT_LENGTH);
                Response::from_parts(head, Body::from(format!("{before}{with}{after}")))
            }
            None => Response::from_parts(head, Body::from(body)),
        }
    }

    fn packet(&self) -> parking_lot::MutexGuard<'_, Option<Packet>> {
        self.0.lock()
    }
}

impl Packet {
    fn replace_on(&self, websocket: &HangUp) {
        if let (Some(without), Some(with)) = (frame(&self.without), frame(&self.with)) {
            websocket.replace_once(without, with);
        }
    }
}

/// A text frame as servers send them: final, not masked; `None` if it is longer than the shortest form can say.
fn frame(text: &str) -> Option<Vec<u8>> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126)?;
    Some([&[0x81, length], text.as_bytes()].concat())
}
