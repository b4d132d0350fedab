//! Parses the frames that a websocket's client sends: finds pongs, and passes the beginnings of messages to [`EventNames`].
//!
//! `engineioxide` drops pongs, but only a pong proves that the client has received everything that was sent before the ping whose
//! payload it repeats.

use super::event_names::EventNames;

/// The longest head of a frame: two bytes, eight of the length, four of the mask. Also fits a whole pong to one of our pings.
const HEAD: usize = 14;

/// Bytes of the payload of our pings, which is their number.
pub(super) const PAYLOAD: u8 = 4;

const PONG: u8 = 0xA;
const TEXT: u8 = 0x1;
const CONTINUATION: u8 = 0x0;

/// Follows the frames of one client.
#[derive(Debug, Default)]
pub(super) struct ClientFrames {
    /// The beginning of the current frame: its head, or all of it if it is a pong to one of our pings.
    frame: [u8; HEAD],
    read: u8,
    /// Bytes of the payload that have not been read yet.
    payload: u64,
    /// The mask of the next four bytes of the payload.
    mask: [u8; 4],
    /// Whether the payload belongs to a text message.
    is_text: bool,
    names: EventNames,
}

/// What [`ClientFrames::read`] has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The number of the newest pong.
    pub(super) pong: Option<u32>,
    /// Bytes at the end that cannot be passed on yet. They must be read again, followed by new bytes.
    pub(super) unfinished: usize,
}

/// What the bytes of a frame that have been read so far are.
enum Beginning {
    Unfinished,
    Pong(u32),
    /// The head of any other frame.
    Other {
        opcode: u8,
        payload: u64,
        mask: [u8; 4],
    },
}

impl ClientFrames {
    /// Parses bytes from the client, and replaces escapes in the names of events.
    pub(super) fn read(&mut self, mut bytes: &mut [u8]) -> Found {
        let mut found = Found::default();
        while !bytes.is_empty() {
            if self.payload > 0 {
                let length = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                let (payload, rest) = bytes.split_at_mut(length);
                let unfinished = self.replace_name(payload);
                self.payload -= (length - unfinished) as u64;
                self.mask.rotate_left((length - unfinished) % 4);
                // A name that does not end in its frame is passed on unchanged.
                if self.payload == unfinished as u64 {
                    self.payload = 0;
                } else {
                    found.unfinished = unfinished;
                }
                bytes = rest;
                continue;
            }
            self.frame[usize::from(self.read)] = bytes[0];
            self.read += 1;
            bytes = &mut bytes[1..];
            match self.beginning() {
                Beginning::Unfinished => continue,
                Beginning::Pong(number) => found.pong = Some(number),
                Beginning::Other { opcode, payload, mask } => self.begin(opcode, payload, mask),
            }
            self.read = 0;
        }
        found
    }

    /// Begins the payload of a frame.
    fn begin(&mut self, opcode: u8, payload: u64, mask: [u8; 4]) {
        (self.payload, self.mask, self.is_text) = (payload, mask, matches!(opcode, TEXT | CONTINUATION));
        if opcode == TEXT {
            self.names.begin();
        }
    }

    /// Passes the current name on unchanged.
    pub(super) fn skip_name(&mut self) {
        self.names.skip();
    }

    /// Replaces escapes in a name. Returns how many bytes at the end are an unfinished name.
    fn replace_name(&mut self, payload: &mut [u8]) -> usize {
        if !self.is_text || self.names.is_past_name() {
            return 0;
        }
        self.names.replace(payload, self.mask)
    }

    fn beginning(&self) -> Beginning {
        let frame = &self.frame[..usize::from(self.read)];
        let [first, second, ..] = *frame else { return Beginning::Unfinished };
        let length_bytes = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        let head = 2 + length_bytes + mask_bytes;
        if frame.len() < head {
            return Beginning::Unfinished;
        }
        let payload = match length_bytes {
            0 => u64::from(second & 0x7F),
            _ => frame[2..2 + length_bytes].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        if first & 0xF != PONG || payload != u64::from(PAYLOAD) {
            let mut mask = [0; 4];
            mask[..mask_bytes].copy_from_slice(&frame[head - mask_bytes..head]);
            return Beginning::Other { opcode: first & 0xF, payload, mask };
        }
        let Some(payload) = frame.get(head..head + usize::from(PAYLOAD)) else { return Beginning::Unfinished };
        let masks = frame[head - mask_bytes..head].iter().chain(std::iter::repeat_n(&0, payload.len()));
        let number = payload.iter().zip(masks).fold(0, |number, (byte, mask)| number << 8 | u32::from(byte ^ mask));
        Beginning::Pong(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame from a client, which is always masked.
    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x12, 0x34, 0xA6, 0x78];
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | u8::try_from(length).unwrap()),
            length @ 126..=0xFFFF => {
                frame.push(0x80 | 0x7E);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                frame.push(0x80 | 0x7F);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn conversation() -> Vec<u8> {
        let text = |length: usize| frame(1, &vec![0x8A; length]);
        let mut bytes = Vec::new();
        for (number, length) in [(1_u32, 0), (2, 5), (3, 125), (0x0102_0304, 126), (5, 70_000)] {
            bytes.extend(text(length));
            bytes.extend(frame(PONG, &number.to_be_bytes()));
        }
        bytes.extend(frame(PONG, b""));
        bytes.extend(frame(PONG, b"other"));
        bytes
    }

    #[test]
    fn pongs_are_found_between_messages_of_every_length_however_the_stream_is_cut() {
        let bytes = conversation();
        for cut in [1, 2, 3, 7, 1000, bytes.len()] {
            let mut frames = ClientFrames::default();
            let mut bytes = bytes.clone();
            let found: Vec<u32> = bytes.chunks_mut(cut).filter_map(|chunk| frames.read(chunk).pong).collect();
            let all = [1, 2, 3, 0x0102_0304, 5];
            assert!(found.last() == Some(&5) && found.iter().all(|number| all.contains(number)), "{cut}: {found:?}");
            assert!(cut > 3 || found == all, "{cut}: {found:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_websocket_frames_contain_no_pong() {
        let mut frames = ClientFrames::default();
        assert_eq!(frames.read(&mut b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()), Found::default());
        assert_eq!(ClientFrames::default().read(&mut [0xFF; 100]), Found::default());
    }

    #[test]
    fn names_are_replaced_in_texts_only_and_the_frames_keep_their_length() {
        let (written, plain) = (br#"42["\u0061",{"b":"\u0062"}]"#, br#"42["a"     ,{"b":"\u0062"}]"#);
        let stream = |text: &[u8]| [frame(1, text), frame(9, b"42"), frame(2, written), frame(1, text)].concat();
        // A ping may arrive between the parts of a text.
        let parts = |(begin, end): (&[u8], &[u8])| {
            let mut bytes = [frame(1, begin), frame(9, br#"["\u0061"#), frame(0, end), frame(1, plain)].concat();
            bytes[0] &= 0x7F;
            bytes
        };
        let in_frames = (parts(written.split_at(3)), parts(plain.split_at(3)));
        for (bytes, expected) in [(stream(written), stream(plain)), in_frames] {
            for cut in [1, 2, 5, 1000] {
                let (mut frames, mut passed, mut part) = (ClientFrames::default(), Vec::new(), Vec::new());
                for chunk in bytes.chunks(cut) {
                    part.extend_from_slice(chunk);
                    let unfinished = frames.read(&mut part).unfinished;
                    passed.extend(part.drain(..part.len() - unfinished));
                }
                assert_eq!(passed, expected, "cut into {cut}");
            }
        }
    }

    #[test]
    fn a_name_that_does_not_end_in_its_frame_is_not_held_back() {
        let mut bytes = [frame(1, br#"42["\u00"#), frame(PONG, &7_u32.to_be_bytes())].concat();
        assert_eq!(ClientFrames::default().read(&mut bytes), Found { pong: Some(7), unfinished: 0 });
    }
}
