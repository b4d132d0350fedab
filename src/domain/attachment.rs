//! Attachments: which types are accepted, and how file names are sanitized.

/// How many bytes from the start of a file [`sniff`] needs.
pub const SNIFFED: usize = 512;

/// The maximum length of a file name, in characters.
const MAX_NAME: usize = 150;

/// The maximum length of an extension, in characters. Anything longer counts as part of the name.
const MAX_EXTENSION: usize = 10;

/// A file that was sent with a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// Its name on disk: random, and independent of what the client sent.
    pub file: String,
    /// Its name as the author gave it, sanitized.
    pub name: String,
    /// Its media type, detected from the content.
    pub media_type: String,
    /// Its size, in bytes.
    pub size: u64,
}

/// Sanitizes a file name: keeps the last path component, and removes what is unsafe on a disk, in a header or on a page.
#[must_use]
pub fn sanitised(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let harmless = |c: char| if c.is_control() || "\"'`*?<>|:;&%$#".contains(c) { '_' } else { c };
    let shown = last.chars().filter(|c| !is_invisible(*c)).map(harmless).collect::<String>();
    let name = shortened(shown.trim_matches(['.', ' ']));
    if name.is_empty() { "file".to_owned() } else { name }
}

/// Whether a character is invisible, but changes how the characters around it are displayed: `photo[RLO]gpj.exe` is shown as
/// `photoexe.jpg`.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// Shortens a name to [`MAX_NAME`] characters, and keeps its extension.
fn shortened(name: &str) -> String {
    let too_many = name.chars().count().saturating_sub(MAX_NAME);
    if too_many == 0 {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().count() <= MAX_EXTENSION => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let kept = stem.chars().count().saturating_sub(too_many);
    stem.chars().take(kept).collect::<String>() + &extension
}

/// Detects the media type from the first bytes; `None` if files of this type are not accepted.
#[must_use]
pub fn sniff(head: &[u8]) -> Option<&'static str> {
    let begins: [(&[u8], &str); 11] = [
        (b"OggS", "audio/ogg"),
        (b"ID3", "audio/mpeg"),
        (b"\xff\xfb", "audio/mpeg"),
        (b"\xff\xf3", "audio/mpeg"),
        (b"\xff\xf2", "audio/mpeg"),
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
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE") {
        return Some("audio/wav");
    }
    if head.starts_with(b"\x1a\x45\xdf\xa3") && head.windows(4).any(|part| part == b"webm") {
        return Some("video/webm");
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Some(match head.get(8..12).unwrap_or_default() {
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => "image/heic",
            b"mif1" | b"msf1" => "image/heif",
            b"avif" | b"avis" => "image/avif",
            b"qt  " => "video/quicktime",
            b"M4A " | b"M4B " => "audio/mp4",
            _ => "video/mp4",
        });
    }
    is_plain_text(head).then_some("text/plain; charset=utf-8")
}

/// Whether this is text, but neither HTML nor SVG.
fn is_plain_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character may be incomplete.
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
        assert_eq!(sanitised(&format!("{}.pdf", "x".repeat(1000))), format!("{}.pdf", "x".repeat(146)));
        assert_eq!(sanitised(&format!("{}.tar.gz", "é".repeat(1000))), format!("{}.gz", "é".repeat(147)));
        assert_eq!(sanitised(&format!("a.{}", "x".repeat(1000))).chars().count(), MAX_NAME);
        assert_eq!(sanitised("photo\u{202e}gpj.exe"), "photogpj.exe");
        assert_eq!(sanitised("a\u{200b}\u{2066}b\u{feff}\u{7}.txt"), "ab_.txt");
        assert_eq!(sanitised("\u{200e}.\u{202e}."), "file");
    }

    #[test]
    fn only_types_that_are_known_to_be_harmless_are_served() {
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
            // Files that are also valid pages are served with the type of their first bytes only.
            (b"GIF89a/*<svg onload=alert(1)>*/=1", Some("image/gif")),
            (b"\x89PNG\r\n\x1a\n<html><script>", Some("image/png")),
            (b"%PDF-1.7\n<html><script>", Some("application/pdf")),
            (b"see <script>", Some("text/plain; charset=utf-8")),
            (b"\0\0\0\x18ftypheic\0\0\0\0", Some("image/heic")),
            (b"\0\0\0\x18ftypmif1\0\0\0\0", Some("image/heif")),
            (b"\0\0\0\x1cftypavif\0\0\0\0", Some("image/avif")),
            (b"\0\0\0\x14ftypqt  \0\0\0\0", Some("video/quicktime")),
            (b"\0\0\0\x1cftypM4A \0\0\0\0", Some("audio/mp4")),
            (b"\0\0\0\x20ftypisom\0\0\x02\0", Some("video/mp4")),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", Some("video/webm")),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", None),
            (b"OggS\0\x02", Some("audio/ogg")),
            (b"ID3\x04\0", Some("audio/mpeg")),
            (b"\xff\xfb\x90\x64", Some("audio/mpeg")),
            (b"RIFF\x24\0\0\0WAVEfmt ", Some("audio/wav")),
            (b"name;size\r\n\"a\";1\r\n", Some("text/plain; charset=utf-8")),
            (b"", None),
            (b"\xff\xfe", None),
        ] {
            assert_eq!(sniff(head), is, "{head:?}");
        }
    }
}
