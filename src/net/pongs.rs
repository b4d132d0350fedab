//! Finds the pongs in what a websocket's client sends.
//!
//! The library answers pings and drops pongs, but only a pong shows that its client has received everything that was sent before
//! the ping which it repeats.

/// The longest head of a frame, and a pong of ours: two bytes, eight of the length, four of the mask.
const HEAD: usize = 14;

/// The payload of our pings: their number.
pub(super) const PAYLOAD: u8 = 4;

const PONG: u8 = 0xA;

/// Follows the frames of one client.
#[derive(Debug, Default)]
pub(super) struct Pongs {
    /// The beginning of a frame: its head, and all of it if it is a pong of ours.
    frame: [u8; HEAD],
    read: u8,
    /// Bytes of a payload that are still to come.
    payload: u64,
}

/// What the bytes of a frame say that were read so far.
enum Beginning {
    Unfinished,
    Pong(u32),
    /// Another frame, of which so many bytes follow.
    Other {
        payload: u64,
    },
}

impl Pongs {
    /// The client has sent this. Gives the number of the newest pong in it.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Option<u32> {
        let mut newest = None;
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                self.payload -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.frame[usize::from(self.read)] = bytes[0];
            self.read += 1;
            bytes = &bytes[1..];
            match self.beginning() {
                Beginning::Unfinished => continue,
                Beginning::Pong(number) => newest = Some(number),
                Beginning::Other { payload } => self.payload = payload,
            }
            self.read = 0;
        }
        newest
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
            return Beginning::Other { payload };
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
            let mut pongs = Pongs::default();
            let found: Vec<u32> = bytes.chunks(cut).filter_map(|chunk| pongs.read(chunk)).collect();
            let all = [1, 2, 3, 0x0102_0304, 5];
            assert!(found.last() == Some(&5) && found.iter().all(|number| all.contains(number)), "{cut}: {found:?}");
            assert!(cut > 3 || found == all, "{cut}: {found:?}");
        }
    }

    #[test]
    fn what_is_no_websocket_is_no_pong() {
        let mut pongs = Pongs::default();
        assert_eq!(pongs.read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), None);
        assert_eq!(Pongs::default().read(&[0xFF; 100]), None);
    }
}
