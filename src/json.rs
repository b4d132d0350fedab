//! JSON as browsers write it.
//!
//! JavaScript strings may contain lone surrogates, e.g. half of an emoji. `JSON.stringify` writes them as escapes, which strict
//! parsers reject. Here they become U+FFFD, which is also what a browser shows.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// The replacement for a lone surrogate.
const REPLACEMENT: &[u8] = br"\ufffd";

/// Parses JSON; lone surrogates become U+FFFD.
///
/// # Errors
/// [`serde_json::Error`] if the text is not JSON, or does not match `T`.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(text).or_else(|error| match without_lone_surrogates(text) {
        Cow::Owned(repaired) => serde_json::from_slice(&repaired),
        Cow::Borrowed(_) => Err(error),
    })
}

fn without_lone_surrogates(text: &[u8]) -> Cow<'_, [u8]> {
    let mut repaired: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let length = match unit(&text[at..]) {
            Some(0xD800..0xDC00) if matches!(text.get(at + 6..).and_then(unit), Some(0xDC00..0xE000)) => 12,
            Some(0xD800..0xE000) => {
                repaired.get_or_insert_with(|| text[..at].to_vec()).extend_from_slice(REPLACEMENT);
                at += 6;
                continue;
            }
            Some(_) => 6,
            None if *byte == b'\\' => 2,
            None => 1,
        };
        let end = (at + length).min(text.len());
        if let Some(repaired) = &mut repaired {
            repaired.extend_from_slice(&text[at..end]);
        }
        at = end;
    }
    repaired.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The UTF-16 code unit of the escape at the start of a text; `None` if there is no escape.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    let mut unit = [0; 2];
    hex::decode_to_slice(digits, &mut unit).ok()?;
    Some(u16::from_be_bytes(unit))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::read;

    #[test]
    fn only_lone_surrogates_are_replaced() {
        for (text, expected) in [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ude00b""#, "\u{fffd}b"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            (r#""\\ud83d \ud83d""#, "\\ud83d \u{fffd}"),
            (r#""\\\ud83d""#, "\\\u{fffd}"),
            (r#""\uD83D\uDE00 é""#, "😀 é"),
        ] {
            assert_eq!(read::<Value>(text.as_bytes()).unwrap(), *expected, "{text}");
        }
        for text in [r#""\ud83d"#, r#""\ud83"#, r#""\u""#, r"\", r#"{"a":1e999}"#, r#""\ud83d"x"#, ""] {
            assert!(read::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
