//! The packets in the response to a poll.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;

/// Separates packets of Engine.IO 4, and occurs in none of them.
pub(super) const SEPARATOR: u8 = 0x1e;

/// What an event begins with: an Engine.IO message that is a Socket.IO EVENT.
const EVENT: &[u8] = b"42";

/// Reads the packets of a response. They are still in it afterwards.
pub(super) async fn read(response: Response) -> (Response, Bytes) {
    if response.status() != StatusCode::OK {
        return (response, Bytes::new());
    }
    let (head, body) = response.into_parts();
    // engineioxide has the whole body before it responds.
    match body.collect().await {
        Ok(body) => {
            let packets = body.to_bytes();
            (Response::from_parts(head, Body::from(packets.clone())), packets)
        }
        Err(error) => {
            tracing::debug!(%error, "The response to a poll was cut short");
            (Response::from_parts(head, Body::empty()), Bytes::new())
        }
    }
}

/// Number of Socket.IO events in a response.
pub(super) fn count_events(response: &[u8], is_eio3: bool) -> u64 {
    let is_event = |packet: &[u8]| u64::from(packet.starts_with(EVENT));
    if is_eio3 {
        EngineIo3(response).map(is_event).sum()
    } else {
        response.split(|byte| *byte == SEPARATOR).map(is_event).sum()
    }
}

/// Packets of Engine.IO 3: each has its length in UTF-16 code units in front, and a colon.
struct EngineIo3<'a>(&'a [u8]);

impl<'a> Iterator for EngineIo3<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let colon = self.0.iter().position(|byte| *byte == b':')?;
        let (length, packets) = (self.0.get(..colon)?, self.0.get(colon + 1..)?);
        let mut units: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
        let mut end = 0;
        while units > 0 {
            // The first byte of a character determines its length; four bytes are two code units.
            let (bytes, of_these) = match packets.get(end)? {
                0..0x80 => (1, 1),
                0x80..0xE0 => (2, 1),
                0xE0..0xF0 => (3, 1),
                _ => (4, 2),
            };
            end += bytes;
            units = units.checked_sub(of_these)?;
        }
        let packet = packets.get(..end)?;
        self.0 = &packets[end..];
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_among_other_packets_also_if_a_text_looks_like_one() {
        let packets = [r#"42["a","€"]"#, "2", r#"43["b"]"#, r#"42["c","𝕊 é 5:42[1]"]"#, "40", "6"];
        assert_eq!(count_events(packets.join("\u{1e}").as_bytes(), false), 2);
        let with_lengths = packets.map(|packet| format!("{}:{packet}", packet.encode_utf16().count()));
        assert_eq!(count_events(with_lengths.concat().as_bytes(), true), 2);
        for odd in ["", "1", ":", "x:42[]", "9:42[]", "99999999999999999999:42[]"] {
            assert_eq!(count_events(odd.as_bytes(), true), 0, "{odd}");
        }
    }
}
