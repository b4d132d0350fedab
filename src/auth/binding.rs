//! Signed text that binds a page to the person who authenticated on it.
//!
//! A page that lost its connection presents it, together with the page's id, to recover without a token. It is valid in every
//! process with the same secret, and after a restart.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::sign;
use subtle::ConstantTimeEq as _;

use super::Tokens;
use crate::domain::{Timestamp, TokenDigest, TokenStamp, UserId};

/// Characters of the truncated signature: 132 bits.
const SIGNATURE: usize = 22;

/// Bytes that are signed together with the page's id: person, two times, and time of issue and digest of the token.
const BYTES: usize = 12 + 8 + 8 + 8 + 16;

/// Encodes a token without a time of issue.
const NO_TIME: i64 = i64::MIN;

/// Domain separation from the signatures of tokens, which sign two texts joined by a dot.
const PURPOSE: &str = "deskline page\n";

/// The person who authenticated on a page, and when that expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The account.
    pub user: UserId,
    /// When the page authenticated.
    pub bound_at: Timestamp,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// The token that the page authenticated with. It can recover only while that token is valid.
    pub token: TokenStamp,
}

impl Binding {
    fn encode(&self) -> String {
        let mut bytes = [0; BYTES];
        bytes[..12].copy_from_slice(self.user.bytes());
        bytes[12..20].copy_from_slice(&self.bound_at.millis().to_be_bytes());
        bytes[20..28].copy_from_slice(&self.expires_at.millis().to_be_bytes());
        bytes[28..36].copy_from_slice(&self.token.issued_at.unwrap_or(NO_TIME).to_be_bytes());
        bytes[36..].copy_from_slice(&self.token.digest.bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; BYTES] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let number = |from: usize| Some(i64::from_be_bytes(bytes[from..from + 8].try_into().ok()?));
        let time = |from: usize| number(from).map(Timestamp::from_millis);
        let user = UserId::from_bytes(bytes[..12].try_into().ok()?);
        let issued_at = Some(number(28)?).filter(|issued_at| *issued_at != NO_TIME);
        let token = TokenStamp { issued_at, digest: TokenDigest::from_bytes(bytes[36..].try_into().ok()?) };
        Some(Self { user, bound_at: time(12)?, expires_at: time(20)?, token })
    }
}

impl Tokens {
    /// The binding of this page as signed text: letters, digits, `-`, `_`.
    #[must_use]
    pub fn sign_binding(&self, page: &str, binding: &Binding) -> String {
        let text = binding.encode();
        let signature = self.signature_of(&page_text(page, &text));
        text + &signature
    }

    /// Verifies and parses a signed text; `None` if it was not signed with our secret, is for another page, or is damaged.
    #[must_use]
    pub fn verify_binding(&self, page: &str, signed: &str) -> Option<Binding> {
        let (text, signature) = signed.split_at_checked(signed.len().checked_sub(SIGNATURE)?)?;
        self.is_signature_of(&page_text(page, text), signature).then(|| Binding::decode(text)).flatten()
    }

    /// The truncated signature of a text; empty if signing failed.
    pub(super) fn signature_of(&self, text: &str) -> String {
        let mut signature = sign(text.as_bytes(), self.signing_key(), Algorithm::HS256).unwrap_or_else(|error| {
            tracing::error!(%error, "Could not sign a text");
            String::new()
        });
        signature.truncate(SIGNATURE);
        signature
    }

    /// Verifies a signature.
    pub(super) fn is_signature_of(&self, text: &str, signature: &str) -> bool {
        let expected = self.signature_of(text);
        !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(signature.as_bytes()))
    }
}

/// The bytes that are signed for a page.
fn page_text(page: &str, text: &str) -> String {
    format!("{PURPOSE}{page}\n{text}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::Secret;

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(&Secret::from(secret), Duration::from_mins(1))
    }

    #[test]
    fn a_binding_is_valid_for_its_page_and_secret_only_and_cannot_be_modified() {
        let binding = Binding {
            user: UserId::from_bytes([7; 12]),
            bound_at: Timestamp::from_millis(1),
            expires_at: Timestamp::from_millis(2),
            token: TokenStamp { issued_at: Some(3), digest: TokenDigest::from_bytes([4; 16]) },
        };
        let signed = tokens("one").sign_binding("page", &binding);
        assert_eq!(tokens("one").verify_binding("page", &signed), Some(binding));
        assert_eq!(tokens("one").verify_binding("other page", &signed), None);
        assert_eq!(tokens("two").verify_binding("page", &signed), None);
        for at in 0..signed.len() {
            let mut changed = signed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(tokens("one").verify_binding("page", &changed), None, "{at}");
        }
        for text in ["", "x", "é".repeat(40).as_str(), &signed[1..], &signed[..signed.len() - 1]] {
            assert_eq!(tokens("one").verify_binding("page", text), None, "{text}");
        }
    }
}
