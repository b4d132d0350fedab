//! Adds a `pid` to the CONNECT packet.
//!
//! The stock client (4.6 and later) recovers its state after a lost connection if that packet carries one. socketioxide cannot add it: it
//! sends `40{"sid":"..."}`. The session id is known before the packet is sent, and so are its exact bytes. They are replaced where they
//! pass through this server: in the writes of a websocket (`ConnectionHandle::replace_once`), and in the response to a poll
//! ([`in_response`](ConnectPacket::in_response)). If socketioxide changes the packet, nothing is replaced, no client recovers, and
//! `tests/it/recovery.rs` fails.
//!
//! To be deleted, together with `net/rewrite.rs`, once socketioxide can send a `pid` (its issue 729).

use std::fmt::Display;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use parking_lot::Mutex;

use super::packets;
use crate::net::ConnectionHandle;

/// The CONNECT packets of one session, one per namespace, until they were sent in the response to a poll or a websocket carries the
/// socket.
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
        let (mut response, body) = packets::read(response).await;
        let Ok(text) = std::str::from_utf8(&body) else { return response };
        let mut changed: Option<String> = None;
        self.packets().retain(|Packet { without, with }| {
            let is_here = changed.as_deref().unwrap_or(text).contains(without.as_str());
            if is_here {
                changed = Some(changed.as_deref().unwrap_or(text).replacen(without.as_str(), with, 1));
            }
            !is_here
        });
        if let Some(changed) = changed {
            response.headers_mut().remove(CONTENT_LENGTH);
            *response.body_mut() = Body::from(changed);
        }
        response
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
