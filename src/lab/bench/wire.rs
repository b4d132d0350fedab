//! Frames of the load. They are formatted, and read by searching for bytes: parsing JSON would cost the generator more than the
//! sockets do.

use std::fmt::Write as _;

use super::options::Protocol;

/// Marks the start of a stamp. The JSON around it does not contain this byte, unless a person's name does.
const MARK: u8 = b'~';

/// Distinguishes the messages of one run from others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RunTag([u8; 8]);

impl RunTag {
    /// A fresh tag.
    pub(super) fn random() -> Self {
        Self(rand::random::<[u8; 8]>().map(|byte| b'a' + byte % 26))
    }

    /// Whether a message belongs to this run.
    pub(super) fn is_in(self, text: &str) -> bool {
        find_stamp(text.as_bytes(), self).is_some()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The stamp in a message's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    /// Index of the pair.
    pub(super) pair: usize,
    /// Number of the message within the pair, from 0.
    pub(super) counter: u64,
    /// When it was sent or, at a fixed rate, was due: nanoseconds since the run's clock started.
    pub(super) at: u64,
}

/// A received frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Incoming<'a> {
    /// `2`: to be answered with `3`.
    Ping,
    /// A message of this run, at its receiver.
    Delivered(Stamp),
    /// A message of this run, back at its sender.
    Confirmed(Stamp),
    /// `error`, or an `authenticated` that ends the session.
    Refused(&'a str),
    /// `41`: the server closes the session.
    Closed,
    /// Anything else: presence, typing, other runs.
    Other,
}

/// The frame that sends a message whose text is at least `size` bytes long.
pub(super) fn send_frame(protocol: Protocol, run: RunTag, receiver: &str, stamp: Stamp, size: usize) -> String {
    let Stamp { pair, counter, at } = stamp;
    let run = run.text();
    let mut frame = String::with_capacity(160 + size);
    match protocol {
        Protocol::Socketio => {
            frame.push_str(r#"42["send-message",{"receiverId":""#);
            frame.push_str(receiver);
            frame.push_str(r#"","message":""#);
        }
        Protocol::Storefront => frame.push_str(r#"{"type":"chat_message","content":""#),
        Protocol::Drivecash => frame.push_str(r#"{"type":"chat_message","message":""#),
    }
    let begin = frame.len();
    // Writing to a string cannot fail.
    let _ok = write!(frame, "~{run}.{pair}.{counter}.{at}~");
    for _ in frame.len() - begin..size {
        frame.push('x');
    }
    match protocol {
        Protocol::Socketio => {
            let _ok = write!(frame, r#"","clientMessageId":"{run}-{pair}-{counter}"}}]"#);
        }
        Protocol::Storefront | Protocol::Drivecash => frame.push_str(r#""}"#),
    }
    frame
}

/// Reads one frame of a Socket.IO websocket.
pub(super) fn read_packet(frame: &str, run: RunTag) -> Incoming<'_> {
    if frame == "2" {
        Incoming::Ping
    } else if let Some(rest) = frame.strip_prefix(r#"42["receive-message","#) {
        find_stamp(rest.as_bytes(), run).map_or(Incoming::Other, Incoming::Delivered)
    } else if let Some(rest) = frame.strip_prefix(r#"42["message-sent","#) {
        find_stamp(rest.as_bytes(), run).map_or(Incoming::Other, Incoming::Confirmed)
    } else if frame.starts_with(r#"42["error","#) || frame.starts_with(r#"42["authenticated",{"success":false"#) {
        Incoming::Refused(frame)
    } else if frame.starts_with("41") {
        Incoming::Closed
    } else {
        Incoming::Other
    }
}

/// Reads one frame of a Channels-style websocket, where the sender receives the same frame as the receiver. `own` is the pair
/// whose sender reads.
pub(super) fn read_channels_frame(frame: &str, run: RunTag, own: Option<usize>) -> Incoming<'_> {
    match find_stamp(frame.as_bytes(), run) {
        Some(stamp) if own == Some(stamp.pair) => Incoming::Confirmed(stamp),
        Some(stamp) => Incoming::Delivered(stamp),
        None if frame.contains(r#""error""#) => Incoming::Refused(frame),
        None => Incoming::Other,
    }
}

/// The first stamp of a run in these bytes.
pub(super) fn find_stamp(mut bytes: &[u8], run: RunTag) -> Option<Stamp> {
    while let Some(mark) = bytes.iter().position(|&byte| byte == MARK) {
        bytes = &bytes[mark + 1..];
        if let Some(rest) = bytes.strip_prefix(&run.0) {
            let (pair, rest) = number(rest.strip_prefix(b".")?)?;
            let (counter, rest) = number(rest.strip_prefix(b".")?)?;
            let (at, _) = number(rest.strip_prefix(b".")?)?;
            return Some(Stamp { pair: usize::try_from(pair).ok()?, counter, at });
        }
    }
    None
}

/// A decimal number, and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut digits = 0;
    for byte in bytes.iter().take_while(|byte| byte.is_ascii_digit()) {
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        digits += 1;
    }
    (digits > 0).then(|| (value, &bytes[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunTag = RunTag(*b"runrunaa");
    const STAMP: Stamp = Stamp { pair: 7, counter: 12, at: 3_456_789 };

    #[test]
    fn a_message_is_json_and_its_stamp_is_found_beside_other_marks() {
        let frame = send_frame(Protocol::Socketio, RUN, "aaaaaaaaaaaaaaaaaaaaaaaa", STAMP, 64);
        let sent: serde_json::Value = serde_json::from_str(&frame[2..]).unwrap();
        let text = sent[1]["message"].as_str().unwrap();
        assert_eq!(text.len(), 64);
        assert_eq!(sent[1]["clientMessageId"], "runrunaa-7-12");
        for (event, expected) in
            [("receive-message", Incoming::Delivered(STAMP)), ("message-sent", Incoming::Confirmed(STAMP))]
        {
            let packet = format!(r#"42["{event}",{{"sender":{{"name":"~ann~"}},"message":"{text}","seq":1}}]"#);
            assert_eq!(read_packet(&packet, RUN), expected);
            assert_eq!(read_packet(&packet, RunTag(*b"otherrun")), Incoming::Other);
        }
    }

    #[test]
    fn over_channels_the_sender_gets_a_confirmation_and_the_others_a_delivery() {
        for protocol in [Protocol::Storefront, Protocol::Drivecash] {
            let frame = send_frame(protocol, RUN, "", STAMP, 64);
            assert!(serde_json::from_str::<serde_json::Value>(&frame).is_ok(), "{frame}");
            assert_eq!(read_channels_frame(&frame, RUN, Some(7)), Incoming::Confirmed(STAMP));
            assert_eq!(read_channels_frame(&frame, RUN, None), Incoming::Delivered(STAMP));
        }
        let error = r#"{"type":"error","message":"no"}"#;
        assert_eq!(read_channels_frame(error, RUN, None), Incoming::Refused(error));
    }

    #[test]
    fn other_frames_are_recognised() {
        assert_eq!(read_packet("2", RUN), Incoming::Ping);
        assert_eq!(read_packet("41", RUN), Incoming::Closed);
        assert_eq!(read_packet(r#"42["user-online",{"userId":"a"}]"#, RUN), Incoming::Other);
        let error = r#"42["error",{"message":"Not authenticated"}]"#;
        assert_eq!(read_packet(error, RUN), Incoming::Refused(error));
        assert_eq!(read_packet(r#"42["receive-message",{"message":"~runrunaa.7.x~"}]"#, RUN), Incoming::Other);
    }
}
