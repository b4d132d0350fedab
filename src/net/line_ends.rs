//! Whether the lines of a request's head end as they must, with CR and LF. The library takes a bare LF for a line's end, too; a
//! proxy in front may not, and would then see other requests than this server.

/// Follows what is read of a connection, as far as it can be a head.
#[derive(Debug, Default)]
pub(super) struct LineEnds {
    /// The last byte of the head so far.
    last: u8,
    /// How many of the bytes CR LF CR LF that end a head have come.
    ending: u8,
    has_bare_lf: bool,
    is_past_head: bool,
}

impl LineEnds {
    /// So many bytes were read. Those after the end of the head are not looked at.
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

    /// Something was answered, so what is read next can be a head.
    pub(super) fn answered(&mut self) {
        if self.is_past_head {
            *self = Self::default();
        }
    }

    /// Whether the head had a line that ends with LF alone.
    pub(super) fn has_bare_lf(&self) -> bool {
        self.has_bare_lf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(parts: &[&str]) -> LineEnds {
        let mut ends = LineEnds::default();
        for part in parts {
            ends.read(part.as_bytes());
        }
        ends
    }

    #[test]
    fn a_bare_lf_is_found_in_a_head_and_not_in_a_body() {
        assert!(!follow(&["GET / HTTP/1.1\r\nHost: a\r\n\r\n"]).has_bare_lf());
        assert!(!follow(&["POST / HTTP/1.1\r", "\nHost: a\r\n\r", "\nline\nline\n"]).has_bare_lf());
        assert!(follow(&["GET / HTTP/1.1\nHost: a\r\n\r\n"]).has_bare_lf());
        assert!(follow(&["GET / HTTP/1.1\r\nHost: a\n", "\n"]).has_bare_lf());
        assert!(follow(&["\nGET / HTTP/1.1\r\n\r\n"]).has_bare_lf());
    }

    #[test]
    fn the_next_head_is_looked_at_after_an_answer() {
        let mut ends = follow(&["POST / HTTP/1.1\r\nHost: a\r\n\r\na\nb"]);
        ends.answered();
        ends.read(b"GET / HTTP/1.1\nHost: a\r\n\r\n");
        assert!(ends.has_bare_lf());
    }
}
