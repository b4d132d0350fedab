//! Signed links to attachments. An `<img>` sends no `Authorization` header, so the URL itself grants access.
//!
//! The links are short, because some pages show them as text: 22 characters for the message and the expiry, 22 for the signature.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::Tokens;
use crate::domain::{MessageId, Timestamp};

/// Characters of each of a link's two parts.
pub const FILE_LINK_PART: usize = 22;

/// Signed bytes: the message id, and the expiry in Unix seconds.
const BYTES: usize = 12 + 4;

/// Domain separation from all other signatures.
const PURPOSE: &str = "deskline file\n";

impl Tokens {
    /// A link to the attachment of this message, in two parts: content and signature. Both consist of letters, digits, `-` and
    /// `_`.
    #[must_use]
    pub fn sign_file_link(&self, message: MessageId, expires_at: Timestamp) -> (String, String) {
        let mut bytes = [0; BYTES];
        bytes[..12].copy_from_slice(message.bytes());
        bytes[12..].copy_from_slice(&u32::try_from(expires_at.seconds()).unwrap_or_default().to_be_bytes());
        let content = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signature = self.signature_of(&format!("{PURPOSE}{content}"));
        (content, signature)
    }

    /// The message whose attachment a link grants access to; `None` if the link has expired, is damaged, or was not signed with our
    /// secret.
    #[must_use]
    pub fn verify_file_link(&self, content: &str, signature: &str, now: Timestamp) -> Option<MessageId> {
        let (message, expires_at) = self.read_file_link(content, signature)?;
        (expires_at > now).then_some(message)
    }

    /// Like [`verify_file_link`](Self::verify_file_link), but also accepts an expired link. Returns its expiry, too.
    #[must_use]
    pub fn read_file_link(&self, content: &str, signature: &str) -> Option<(MessageId, Timestamp)> {
        if !self.is_signature_of(&format!("{PURPOSE}{content}"), signature) {
            return None;
        }
        let bytes: [u8; BYTES] = BASE64_URL_SAFE_NO_PAD.decode(content).ok()?.try_into().ok()?;
        let (message, expires_at) = bytes.split_first_chunk::<12>()?;
        let expires_at = u32::from_be_bytes(expires_at.try_into().ok()?);
        Some((MessageId::from_bytes(*message), Timestamp::from_millis(i64::from(expires_at) * 1000)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::token::DEFAULT_LIFETIME;
    use crate::auth::{Secret, TokenError};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(&Secret::from(secret), DEFAULT_LIFETIME)
    }

    fn message(n: u8) -> MessageId {
        MessageId::from_bytes([n; 12])
    }

    #[test]
    fn a_link_is_valid_for_its_own_attachment_until_it_expires() {
        let tokens = tokens("mysecretkey");
        let end = NOW.after(Duration::from_hours(1));
        for n in [1, 2] {
            let (opens, signature) = tokens.sign_file_link(message(n), end);
            assert_eq!((opens.len(), signature.len()), (FILE_LINK_PART, FILE_LINK_PART));
            let verify = |now| tokens.verify_file_link(&opens, &signature, now);
            assert_eq!(verify(NOW), Some(message(n)));
            assert_eq!(verify(Timestamp::from_millis(end.millis() - 1000)), Some(message(n)));
            for late in [end, end.after(Duration::from_secs(1)), end.after(Duration::from_hours(24))] {
                assert_eq!(verify(late), None);
            }
        }
    }

    #[test]
    fn a_modified_link_is_invalid_and_not_accepted_as_a_token() {
        let end = NOW.after(Duration::from_hours(1));
        let (one, other) = (tokens("one"), tokens("two"));
        let (opens, signature) = one.sign_file_link(message(1), end);
        let (others, foreign) = (one.sign_file_link(message(2), end).0, other.sign_file_link(message(1), end).1);
        let later = one.sign_file_link(message(1), end.after(Duration::from_hours(1))).0;
        let long = "x".repeat(100_000);
        for (opens, signature) in [
            (others.as_str(), signature.as_str()),
            (&later, &signature),
            (&opens, &foreign),
            (&opens, ""),
            (&opens, &signature[1..]),
            ("", &signature),
            (&signature, &opens),
            ("é", "é"),
            (&long, &long),
        ] {
            assert_eq!(one.verify_file_link(opens, signature, NOW), None, "{opens} {signature}");
        }
        for text in [opens.clone(), format!("{opens}.{signature}"), format!("{opens}{signature}")] {
            assert_eq!(one.verify(&text, NOW), Err(TokenError::Invalid));
        }
    }
}
