//! Removes JSON escapes from the names of events that a client sends, e.g. `42["\u0072esume",{}]`.
//!
//! `socketioxide-parser-common` 0.17.3 (`read_event`) rejects a packet with such a name as malformed and ends the session. So the name
//! is replaced by the unescaped text before socketioxide reads it. The length stays the same: spaces, which JSON allows, follow
//! the closing quote. Delete this file once socketioxide reads such names itself.

use crate::json;

/// Bytes of a name, from its first escape on, that are searched for its end.
const LONGEST: usize = 256;

/// Separates packets in the body of a POST.
const SEPARATOR: u8 = 0x1e;

/// The mask of data that is not masked: only frames of a websocket are.
pub(super) const BARE: [u8; 4] = [0; 4];

/// Parses the packets of one client, up to the names of their events.
#[derive(Debug, Default, Clone, Copy)]
pub struct EventNames(State);

/// What the next byte belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The type of the Engine.IO packet.
    #[default]
    Packet,
    /// The type of the Socket.IO packet.
    Kind,
    Attachments,
    /// A namespace, an acknowledgement id or the arguments.
    Head,
    Namespace,
    /// An acknowledgement id or the arguments.
    Ack,
    Arguments,
    Name,
    /// Anything after the name, or any part of a packet without one.
    Passed,
}

impl State {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Packet, b'4') => Self::Kind,
            (Self::Kind, b'2') | (Self::Attachments, b'-') => Self::Head,
            (Self::Kind, b'5') => Self::Attachments,
            (Self::Head, b'/') => Self::Namespace,
            (Self::Namespace, b',') | (Self::Head | Self::Ack, b'0'..=b'9') => Self::Ack,
            (Self::Head | Self::Ack, b'[') => Self::Arguments,
            (Self::Arguments, b'"') => Self::Name,
            (Self::Name, b'"') => Self::Passed,
            (Self::Attachments, b'0'..=b'9')
            | (Self::Arguments, b' ' | b'\t' | b'\n' | b'\r')
            | (Self::Namespace | Self::Name, _) => self,
            _ => Self::Passed,
        }
    }
}

impl EventNames {
    /// Begins a packet.
    pub(super) fn begin(&mut self) {
        self.0 = State::Packet;
    }

    /// Passes the rest of the packet on unchanged.
    pub(super) fn skip(&mut self) {
        self.0 = State::Passed;
    }

    /// Whether the rest of the packet cannot contain a name.
    pub(super) fn is_past_name(self) -> bool {
        self.0 == State::Passed
    }

    /// Replaces the escapes of a name in the next part of a packet. `mask` is that of the part's first four bytes. Returns how many
    /// bytes at the end are an unfinished name. They must be passed again, followed by the next part.
    pub(super) fn replace(&mut self, part: &mut [u8], mut mask: [u8; 4]) -> usize {
        let Some(at) = self.find(part, mask) else { return 0 };
        mask.rotate_left(at % 4);
        self.replace_rest(&mut part[at..], mask)
    }

    /// The position of the first escape of a name in the next part of a packet.
    fn find(&mut self, part: &[u8], mask: [u8; 4]) -> Option<usize> {
        for (at, byte) in part.iter().enumerate() {
            if self.is_past_name() {
                return None;
            }
            let byte = byte ^ mask[at % 4];
            if self.0 == State::Name && byte == b'\\' {
                return Some(at);
            }
            self.0 = self.0.after(byte);
        }
        None
    }

    /// Like [`replace`](Self::replace), for a part that begins with the first escape.
    fn replace_rest(&mut self, part: &mut [u8], mask: [u8; 4]) -> usize {
        let masked = part.iter().take(LONGEST).enumerate();
        let rest: Vec<u8> = masked.map(|(at, byte)| byte ^ mask[at % 4]).collect();
        if rest.len() < LONGEST && closing_quote(&rest).is_none() {
            return part.len();
        }
        for (at, byte) in plain(&rest).into_iter().flatten().enumerate() {
            part[at] = byte ^ mask[at % 4];
        }
        self.skip();
        0
    }

    /// The position of the first escape of a name in the next part of a request's body, which contains any number of packets.
    #[must_use]
    pub fn find_in_body(&mut self, part: &[u8]) -> Option<usize> {
        let mut from = 0;
        for packet in part.split_inclusive(|byte| *byte == SEPARATOR) {
            if let Some(at) = self.find(packet, BARE) {
                return Some(from + at);
            }
            from += packet.len();
            if packet.ends_with(&[SEPARATOR]) {
                self.begin();
            }
        }
        None
    }

    /// Replaces the escapes of names in a part of a body. Returns how many bytes at the end are an unfinished name. They must be
    /// passed again, followed by the next part.
    #[must_use]
    pub fn replace_in_body(&mut self, part: &mut [u8]) -> usize {
        let mut unfinished = 0;
        for (index, packet) in part.split_mut(|byte| *byte == SEPARATOR).enumerate() {
            if index > 0 {
                self.begin();
            }
            unfinished = self.replace(packet, BARE);
        }
        unfinished
    }
}

/// The position of the quote that ends a string, in the rest of that string.
fn closing_quote(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// The rest of a name without escapes, with its closing quote, padded with spaces to its old length. Characters that JSON requires
/// to be escaped become question marks, which no event's name contains. `None` if it is not a valid string.
fn plain(rest: &[u8]) -> Option<Vec<u8>> {
    let end = closing_quote(rest)?;
    let quoted = [b"\"", &rest[..=end]].concat();
    let name: String = json::read(&quoted).ok()?;
    let needs_no_escape = |char: char| char >= ' ' && !matches!(char, '"' | '\\');
    let name: String = name.chars().map(|char| if needs_no_escape(char) { char } else { '?' }).collect();
    let mut plain = name.into_bytes();
    plain.push(b'"');
    plain.resize(end + 1, b' ');
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [(&str, &str); 16] = [
        (r#"42["\u0072esume",{}]"#, r#"42["resume"     ,{}]"#),
        (r#"4217["res\u0075me"]"#, r#"4217["resume"     ]"#),
        (r#"42/desk,9["\u0072\u0065",1]"#, r#"42/desk,9["re"          ,1]"#),
        (r#"42/a"\u0072,["\u0072"]"#, r#"42/a"\u0072,["r"     ]"#),
        (r#"452-["a\/b",{}]"#, r#"452-["a/b" ,{}]"#),
        (r#"451-/desk,3["\u0061",{}]"#, r#"451-/desk,3["a"     ,{}]"#),
        (r#"42 ["\u0061"]"#, r#"42 ["\u0061"]"#),
        ("42[ \n\"\\u0061\"]", "42[ \n\"a\"     ]"),
        (r#"42["\"\\\n\u0000"]"#, r#"42["????"        ]"#),
        (r#"42["\u00e9\ud83d\ude00"]"#, "42[\"é😀\"            ]"),
        (r#"42["\ud83d"]"#, "42[\"\u{fffd}\"   ]"),
        // Anything else than a name is unchanged.
        (r#"42["a\x"]"#, r#"42["a\x"]"#),
        (r#"42["say","\u0061"]"#, r#"42["say","\u0061"]"#),
        (r#"431["\u0061"]"#, r#"431["\u0061"]"#),
        (r#"40{"\u0061":1}"#, r#"40{"\u0061":1}"#),
        (r#"["\u0061"]"#, r#"["\u0061"]"#),
    ];

    /// Passes bytes on in parts of `size`, as a stream does.
    fn in_parts(bytes: &[u8], size: usize, mut replace: impl FnMut(usize, &mut [u8]) -> usize) -> Vec<u8> {
        let (mut passed, mut held) = (Vec::new(), Vec::new());
        for part in bytes.chunks(size) {
            held.extend_from_slice(part);
            let unfinished = replace(passed.len(), &mut held);
            passed.extend(held.drain(..held.len() - unfinished));
        }
        passed.extend(held);
        passed
    }

    #[test]
    fn escapes_of_a_name_are_replaced_however_the_packet_is_cut() {
        for (packet, expected) in CASES {
            for size in [1, 2, 3, 5, 1000] {
                let mut names = EventNames::default();
                let passed = in_parts(packet.as_bytes(), size, |_, part| names.replace(part, BARE));
                assert_eq!(String::from_utf8(passed).unwrap(), expected, "in parts of {size}");
            }
        }
    }

    #[test]
    fn a_masked_frame_stays_masked() {
        let mask = [0x12, 0x34, 0xA6, 0x78];
        let masked = |text: &[u8]| -> Vec<u8> { text.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect() };
        for (packet, expected) in CASES {
            for size in [1, 3, 1000] {
                let mut names = EventNames::default();
                let passed = in_parts(&masked(packet.as_bytes()), size, |from, part| {
                    let mut mask = mask;
                    mask.rotate_left(from % 4);
                    names.replace(part, mask)
                });
                assert_eq!(String::from_utf8(masked(&passed)).unwrap(), expected, "in parts of {size}");
            }
        }
    }

    #[test]
    fn the_name_of_each_packet_of_a_body_is_replaced() {
        let body = CASES.map(|(packet, _)| packet).join("\u{1e}");
        let expected = CASES.map(|(_, expected)| expected).join("\u{1e}");
        for size in [1, 2, 7, 10_000] {
            let mut names = EventNames::default();
            let passed = in_parts(body.as_bytes(), size, |_, part| names.replace_in_body(part));
            assert_eq!(String::from_utf8(passed).unwrap(), expected, "in parts of {size}");
        }
    }

    #[test]
    fn a_name_without_end_is_not_held_back_forever() {
        let mut endless = [br#"42["\u0061"#.to_vec(), vec![b'x'; LONGEST]].concat();
        let copy = endless.clone();
        assert_eq!(EventNames::default().replace(&mut endless, BARE), 0);
        assert_eq!(endless, copy);
    }
}
