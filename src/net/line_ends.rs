//! Checks that head lines end with CR LF. hyper also accepts a bare LF; a proxy that does not would see different requests
//! (request smuggling).

/// Scans the bytes of a connection that may belong to a head.
#[derive(Debug, Default)]
pub(super) struct LineEnds {
    /// The last byte of the head so far.
    last: u8,
    /// Bytes of the final CR LF CR LF seen so far.
    ending: u8,
    has_bare_lf: bool,
    is_past_head: bool,
}

impl LineEnds {
    /// Scans bytes that were read; ignores those after the head.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if self.is_past_head {
            return;
        }
        for &byte in bytes {
            self.has_bare_lf |= byte == b'\n' && self.last != b'\r';
            self.ending = match (byte, self.ending) {
                (b'\r', 2) => 3,
                (b'\r', _) => 1,
                (b'\n', 1) => 2,
                (b'\n', 3) => {
                    self.is_past_head = true;
                    return;
                }
                _ => 0,
            };
            self.last = byte;
        }
    }

    /// A response was sent, so the next bytes may be a head.
    pub(super) fn responded(&mut self) {
        if self.is_past_head {
            *self = Self::default();
        }
    }

    /// Whether a line of the head ended with a bare LF.
    pub(super) fn has_bare_lf(&self) -> bool {
        self.has_bare_lf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(parts: &[&str]) -> LineEnds {
        let mut ends = LineEnds::default();
        for part in parts {
            ends.read(part.as_bytes());
        }
        ends
    }

    #[test]
    fn a_bare_lf_is_found_in_a_head_and_not_in_a_body() {
        assert!(!scan(&["GET / HTTP/1.1\r\nHost: a\r\n\r\n"]).has_bare_lf());
        assert!(!scan(&["POST / HTTP/1.1\r", "\nHost: a\r\n\r", "\nline\nline\n"]).has_bare_lf());
        assert!(scan(&["GET / HTTP/1.1\nHost: a\r\n\r\n"]).has_bare_lf());
        assert!(scan(&["GET / HTTP/1.1\r\nHost: a\n", "\n"]).has_bare_lf());
        assert!(scan(&["\nGET / HTTP/1.1\r\n\r\n"]).has_bare_lf());
    }

    #[test]
    fn the_next_head_is_scanned_after_a_response() {
        let mut ends = scan(&["POST / HTTP/1.1\r\nHost: a\r\n\r\na\nb"]);
        ends.responded();
        ends.read(b"GET / HTTP/1.1\nHost: a\r\n\r\n");
        assert!(ends.has_bare_lf());
    }
}
