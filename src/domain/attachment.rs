//! Files that come with messages: what they may be, and what they are called.

/// How many bytes tell what a file is.
pub const SNIFFED: usize = 512;

/// The longest a file's name may be, in characters.
const MAX_NAME: usize = 150;

/// A file that came with a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// What it is called on disk: unguessable, and nothing of the client's.
    pub file: String,
    /// What its author called it, made harmless.
    pub name: String,
    /// What it is, by its content.
    pub media_type: String,
    /// Its bytes.
    pub size: u64,
}

/// What a file is called: the last part of what its author called it, without what could harm a disk, a header or a page.
#[must_use]
pub fn sanitised(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let harmless = |c: char| if c.is_control() || "\"'`*?<>|:;&%$#".contains(c) { '_' } else { c };
    let name: String = last.trim_matches(['.', ' ']).chars().take(MAX_NAME).map(harmless).collect();
    if name.is_empty() { "file".to_owned() } else { name }
}

/// What a file is, by its first bytes; `None` if it is nothing that may be sent.
#[must_use]
pub fn sniff(head: &[u8]) -> Option<&'static str> {
    let begins: [(&[u8], &str); 6] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
    ];
    if let Some((_, media_type)) = begins.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(media_type);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Some("video/mp4");
    }
    is_plain_text(head).then_some("text/plain; charset=utf-8")
}

/// Text, but no page and no picture made of text.
fn is_plain_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character may have been cut.
        Err(error) if error.error_len().is_none() => match std::str::from_utf8(&head[..error.valid_up_to()]) {
            Ok(text) => text,
            Err(_) => return false,
        },
        Err(_) => return false,
    };
    let begin = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    !begin.is_empty()
        && !begin.starts_with('<')
        && !text.contains(|c: char| c.is_control() && !"\n\r\t\u{c}".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_harmless() {
        for (name, harmless) in [
            ("a b.txt", "a b.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\y.png", "y.png"),
            ("..", "file"),
            ("", "file"),
            ("a\r\nb\"c", "a__b_c"),
            ("ünï.pdf", "ünï.pdf"),
        ] {
            assert_eq!(sanitised(name), harmless, "{name:?}");
        }
        assert_eq!(sanitised(&"x".repeat(1000)).len(), MAX_NAME);
    }

    #[test]
    fn only_what_is_known_to_be_harmless_may_be_sent() {
        for (head, is) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], Some("image/png")),
            (b"%PDF-1.7", Some("application/pdf")),
            (b"hello \xc3", Some("text/plain; charset=utf-8")),
            (b"MZ\x90\x00", None),
            (b"\x7fELF\x02\x01", None),
            (b"  <!doctype html>", None),
            (b"<svg onload=alert(1)>", None),
            (b"\xef\xbb\xbf<script>", None),
            (b"\n<?xml version=\"1.0\"?><svg onload=alert(1)>", None),
            (b"<!--\n-->hello", None),
            (b"\xff\xfe<\0h\0t\0m\0l\0", None),
            (b"\x1b[2Jhello", None),
            // What is a page as well is what its first bytes say, and is given out as nothing else.
            (b"GIF89a/*<svg onload=alert(1)>*/=1", Some("image/gif")),
            (b"\x89PNG\r\n\x1a\n<html><script>", Some("image/png")),
            (b"%PDF-1.7\n<html><script>", Some("application/pdf")),
            (b"see <script>", Some("text/plain; charset=utf-8")),
            (b"", None),
            (b"\xff\xfe", None),
        ] {
            assert_eq!(sniff(head), is, "{head:?}");
        }
    }
}
