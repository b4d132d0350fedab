//! Counts the Socket.IO events that are written to a websocket.
//!
//! An event waits in a queue of `engineioxide` before it is written, and the length of that queue is not public. So the events that
//! were written are counted, and compared with those that were queued.

/// The beginning of an event: an Engine.IO message that is a Socket.IO EVENT without attachments.
const EVENT: &[u8] = b"42";

/// The longest head of a frame that is not masked.
const HEAD: usize = 10;

const TEXT: u8 = 0x1;

/// Parses the frames that the server writes, beginning with the response that accepts the upgrade.
#[derive(Debug, Default)]
pub(super) struct ServerFrames {
    state: State,
    /// The head of the current frame, as far as it was written.
    head: [u8; HEAD],
    written: u8,
    /// Bytes of the payload that have not been written yet.
    payload: u64,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The HTTP response. The number: bytes of the final CR LF CR LF written so far.
    Response(u8),
    Head,
    /// The payload of a text. The number: bytes that match [`EVENT`] so far.
    Text(u8),
    /// A payload that is not an event.
    Other,
}

impl Default for State {
    fn default() -> Self {
        Self::Response(0)
    }
}

impl ServerFrames {
    /// Parses bytes that were written. Returns how many events were completed.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> u64 {
        let mut events = 0;
        while let Some(&byte) = bytes.first() {
            match self.state {
                State::Response(ends) => {
                    bytes = &bytes[1..];
                    self.state = match (byte, ends) {
                        (b'\n', 3) => State::Head,
                        (b'\r', 0 | 2) | (b'\n', 1) => State::Response(ends + 1),
                        (b'\r', _) => State::Response(1),
                        _ => State::Response(0),
                    };
                }
                State::Head => {
                    bytes = &bytes[1..];
                    self.head[usize::from(self.written)] = byte;
                    self.written += 1;
                    self.begin_payload();
                }
                State::Text(_) | State::Other => {
                    let length = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                    let (payload, rest) = bytes.split_at(length);
                    bytes = rest;
                    self.compare(payload);
                    self.payload -= length as u64;
                    if self.payload == 0 {
                        let is_event = matches!(self.state, State::Text(same) if usize::from(same) == EVENT.len());
                        events += u64::from(is_event);
                        self.state = State::Head;
                    }
                }
            }
        }
        events
    }

    /// Begins the payload if the head is complete.
    fn begin_payload(&mut self) {
        let head = &self.head[..usize::from(self.written)];
        let [first, second, length @ ..] = head else { return };
        let payload = match second & 0x7F {
            126 if length.len() < 2 => return,
            127 if length.len() < 8 => return,
            126 | 127 => length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
            short => u64::from(short),
        };
        (self.written, self.payload) = (0, payload);
        if payload > 0 {
            self.state = if first & 0xF == TEXT { State::Text(0) } else { State::Other };
        }
    }

    /// Compares the beginning of a payload with that of an event.
    fn compare(&mut self, payload: &[u8]) {
        for byte in payload {
            match self.state {
                State::Text(same) if usize::from(same) < EVENT.len() => {
                    let is_same = *byte == EVENT[usize::from(same)];
                    self.state = if is_same { State::Text(same + 1) } else { State::Other };
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..=125 => frame.push(u8::try_from(length).unwrap()),
            length @ 126..=0xFFFF => {
                frame.push(126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    #[test]
    fn complete_events_are_counted_however_the_stream_is_cut() {
        let event = |length: usize| frame(1, format!(r#"42["e","{}"]"#, "42".repeat(length)).as_bytes());
        let others = [&b"2"[..], b"4", b"40{}", b"43[1]", b"", b"3probe"].map(|text| frame(1, text)).concat();
        let frames = [event(1), others, frame(2, b"42[]"), event(100), frame(9, b"42"), event(40_000)].concat();
        let response = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        let bytes = [&response[..], &frames].concat();
        for cut in [1, 2, 3, 7, 1000, bytes.len()] {
            let mut written = ServerFrames::default();
            let (last, before) = bytes.split_last().unwrap();
            let count: u64 = before.chunks(cut).map(|chunk| written.write(chunk)).sum();
            assert_eq!((count, written.write(&[*last])), (2, 1), "cut into {cut}");
        }
    }
}
