//! Files that came with messages: what they may be, what they are called, and how they are given out.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use crate::faces::channels::Channels;
use crate::faces::channels::reply::Problem;

/// How many bytes tell what a file is.
pub(super) const SNIFFED: usize = 512;

/// The longest a file's name may be, in characters.
const MAX_NAME: usize = 150;

pub(super) fn routes() -> Router<Channels> {
    Router::new().route("/media/chat_attachments/{link}/{name}", get(file))
}

/// A signed link, good for a while: an `<img>` sends no header, so the address itself says who let one in.
async fn file(State(channels): State<Channels>, Path((link, _)): Path<(String, String)>) -> Result<Response, Problem> {
    let attachment = channels.accounts.linked(&link).ok_or_else(Problem::not_found)?;
    let file = File::open(channels.settings.files.join(&attachment.file)).await.map_err(|error| {
        tracing::error!(%error, "A file is missing");
        Problem::detail(StatusCode::NOT_FOUND, "Not found.")
    })?;
    let headers = [
        (header::CONTENT_TYPE, attachment.media_type.clone()),
        (header::CONTENT_LENGTH, attachment.size.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{}", percent_encoded(&attachment.name))),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        (header::CACHE_CONTROL, "private, max-age=300".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// What a file is called: the last part of what its author called it, without what could harm a disk, a header or a page.
pub(super) fn sanitised(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let harmless = |c: char| if c.is_control() || "\"'`*?<>|:;&%$#".contains(c) { '_' } else { c };
    let name: String = last.trim_matches(['.', ' ']).chars().take(MAX_NAME).map(harmless).collect();
    if name.is_empty() { "file".to_owned() } else { name }
}

/// What a file is, by its first bytes; `None` if it is nothing that may be sent.
pub(super) fn sniff(head: &[u8]) -> Option<&'static str> {
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
            (b"", None),
            (b"\xff\xfe", None),
        ] {
            assert_eq!(sniff(head), is, "{head:?}");
        }
    }
}
