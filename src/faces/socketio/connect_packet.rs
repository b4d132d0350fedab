//! Adds a `pid` to the CONNECT packet.
//!
//! The stock client (4.6 and later) recovers its state after a lost connection if that packet carries one. socketioxide
//! cannot add it: it sends `40{"sid":"..."}`. The session id is known before the packet is sent, and so are its exact bytes. They are
//! replaced where they pass through this server: in the writes of a websocket (`ConnectionHandle::replace_once`), and in the response to a poll
//! ([`in_response`](ConnectPacket::in_response)). If socketioxide changes the packet, nothing is replaced, no client recovers, and
//! `tests/it/recovery.rs` fails.
//!
//! To be deleted, together with `net/rewrite.rs`, once socketioxide can send a `pid` (its issue 729).

use std::fmt::Display;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

use crate::net::ConnectionHandle;

/// The CONNECT packets of one session, one per namespace, until they were sent in the response to a poll or a websocket carries the socket.
#[derive(Debug, Default)]
pub(in crate::faces) struct ConnectPacket(Mutex<Vec<Packet>>);

#[derive(Debug, Clone)]
struct Packet {
    without: String,
    with: String,
}

impl ConnectPacket {
    /// Adds this `pid` to the packet of this session and namespace in the response to a poll. For a websocket, call
    /// [`carry`](Self::carry), too.
    pub(in crate::faces) fn add(&self, session: impl Display, namespace: &str, pid: &str) {
        let namespace = if namespace == "/" { String::new() } else { format!("{namespace},") };
        let without = format!(r#"40{namespace}{{"sid":"{session}"}}"#);
        let with = format!(r#"40{namespace}{{"sid":"{session}","pid":"{pid}"}}"#);
        self.packets().push(Packet { without, with });
    }

    /// Adds the `pid` if the packet is sent on this websocket. During an upgrade, it may still be sent in the response to a poll.
    pub(in crate::faces) fn carry(&self, websocket: &ConnectionHandle) {
        for packet in &*self.packets() {
            packet.replace_on(websocket);
        }
    }

    /// The packet can no longer be sent in the response to a poll.
    pub(in crate::faces) fn leave_to_websocket(&self) {
        *self.packets() = Vec::new();
    }

    /// Whether the packet may still be sent in the response to a poll.
    pub(in crate::faces) fn is_due(&self) -> bool {
        !self.packets().is_empty()
    }

    /// The response to a poll, with the `pid` if it contains the packet.
    pub(in crate::faces) async fn in_response(&self, response: Response) -> Response {
        let (mut head, body) = response.into_parts();
        // engineioxide has the whole body before it responds.
        let Ok(body) = body.collect().await else {
            tracing::debug!("The response to a poll was cut short");
            return Response::from_parts(head, Body::empty());
        };
        let body = body.to_bytes();
        let Ok(mut text) = String::from_utf8(body.to_vec()) else {
            return Response::from_parts(head, Body::from(body));
        };
        self.packets().retain(|Packet { without, with }| {
            let Some((before, after)) = text.split_once(without.as_str()) else { return true };
            text = format!("{before}{with}{after}");
            head.headers.remove(CONTENT_LENGTH);
            false
        });
        Response::from_parts(head, Body::from(text))
    }

    fn packets(&self) -> parking_lot::MutexGuard<'_, Vec<Packet>> {
        self.0.lock()
    }
}

impl Packet {
    fn replace_on(&self, websocket: &ConnectionHandle) {
        if let (Some(without), Some(with)) = (frame(&self.without), frame(&self.with)) {
            websocket.replace_once(without, with);
        }
    }
}

/// A text frame as servers send it: final, and not masked. `None` if the text is too long for the short form.
fn frame(text: &str) -> Option<Vec<u8>> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126)?;
    Some([&[0x81, length], text.as_bytes()].concat())
}
