//! Finds the pongs in what a websocket's client sends, and hands the beginnings of its messages to [`EventNames`].
//!
//! `engineioxide` answers pings and drops pongs, but only a pong proves that the client has received everything that was sent
//! before the ping which it repeats.

use super::event_names::EventNames;

/// The longest head of a frame, and a pong of ours: two bytes, eight of the length, four of the mask.
const HEAD: usize = 14;

/// The payload of our pings: their number.
pub(super) const PAYLOAD: u8 = 4;

const PONG: u8 = 0xA;
const TEXT: u8 = 0x1;
const CONTINUATION: u8 = 0x0;

/// Follows the frames of one client.
#[derive(Debug, Default)]
pub(super) struct ClientFrames {
    /// The beginning of a frame: its head, and all of it if it is a pong of ours.
    frame: [u8; HEAD],
    read: u8,
    /// Bytes of a payload that are still to come.
    payload: u64,
    /// The next four bytes of the payload are masked with this.
    mask: [u8; 4],
    /// The payload is that of a text, or of a part of one.
    is_text: bool,
    names: EventNames,
}

/// What was found in a part of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The number of the newest pong.
    pub(super) pong: Option<u32>,
    /// Bytes at the end that cannot be passed on yet; they are to be read again, in front of what follows.
    pub(super) unfinished: usize,
}

/// What the bytes of a frame say that were read so far.
enum Beginning {
    Unfinished,
    Pong(u32),
    /// Another frame, of which so many bytes follow.
    Other {
        opcode: u8,
        payload: u64,
        mask: [u8; 4],
    },
}

impl ClientFrames {
    /// The client has sent this. Escapes in the names of its events are replaced.
    pub(super) fn read(&mut self, mut bytes: &mut [u8]) -> Found {
        let mut found = Found::default();
        while !bytes.is_empty() {
            if self.payload > 0 {
                let length = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                let (payload, rest) = bytes.split_at_mut(length);
                let unfinished = self.look_at_text(payload);
                self.payload -= (length - unfinished) as u64;
                self.mask.rotate_left((length - unfinished) % 4);
                // A name that does not end in its frame is left to the library.
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

    /// A frame begins whose payload follows.
    fn begin(&mut self, opcode: u8, payload: u64, mask: [u8; 4]) {
        (self.payload, self.mask, self.is_text) = (payload, mask, matches!(opcode, TEXT | CONTINUATION));
        if opcode == TEXT {
            self.names.begin();
        }
    }

    /// The name that has begun is passed on as it is.
    pub(super) fn leave_name(&mut self) {
        self.names.leave();
    }

    /// Returns how many bytes at the end are an unfinished name.
    fn look_at_text(&mut self, payload: &mut [u8]) -> usize {
        if !self.is_text || self.names.have_passed() {
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

    /// A client's frame, masked as all of them are.
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
    fn pongs_are_found_between_messages_of_every_length_however_they_are_cut() {
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
    fn what_is_no_websocket_is_no_pong() {
        let mut frames = ClientFrames::default();
        assert_eq!(frames.read(&mut b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()), Found::default());
        assert_eq!(ClientFrames::default().read(&mut [0xFF; 100]), Found::default());
    }

    #[test]
    fn names_are_replaced_in_texts_alone_and_the_frames_keep_their_length() {
        let (written, plain) = (br#"42["\u0061",{"b":"\u0062"}]"#, br#"42["a"     ,{"b":"\u0062"}]"#);
        let stream = |text: &[u8]| [frame(1, text), frame(9, b"42"), frame(2, written), frame(1, text)].concat();
        // A ping may come between the parts of a text.
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
    fn a_name_that_does_not_end_in_its_frame_holds_nothing_up() {
        let mut bytes = [frame(1, br#"42["\u00"#), frame(PONG, &7_u32.to_be_bytes())].concat();
        assert_eq!(ClientFrames::default().read(&mut bytes), Found { pong: Some(7), unfinished: 0 });
    }
}
