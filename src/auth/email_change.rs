//! Signed text that proves that an account's owner can read mail at a new address.
//!
//! Sent in a link, not stored. Bound to the account's current address, so it becomes invalid once the address changes.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::Tokens;
use crate::domain::{Email, Timestamp, UserId};

/// Domain separation from all other signatures.
const PURPOSE: &str = "deskline e-mail change\n";

/// An unconfirmed change of an account's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailChange {
    /// The account.
    pub user: UserId,
    /// Its current address.
    pub from: Email,
    /// Its new address.
    pub to: Email,
    /// When it expires.
    pub expires_at: Timestamp,
}

impl EmailChange {
    fn encode(&self) -> String {
        let Self { user, from, to, expires_at } = self;
        let text = format!("{user}\n{}\n{}\n{}", expires_at.millis(), from.as_str(), to.as_str());
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let [user, expires_at, from, to] = text.split('\n').collect::<Vec<_>>().try_into().ok()?;
        let expires_at = Timestamp::from_millis(expires_at.parse().ok()?);
        Some(Self { user: user.parse().ok()?, from: from.parse().ok()?, to: to.parse().ok()?, expires_at })
    }
}

impl Tokens {
    /// The change as signed text: letters, digits, `-`, `_` and a dot.
    #[must_use]
    pub fn sign_email_change(&self, change: &EmailChange) -> String {
        let text = change.encode();
        let signature = self.signature_of(&format!("{PURPOSE}{text}"));
        format!("{text}.{signature}")
    }

    /// Verifies and parses a signed text; `None` if the signature or the format is invalid. Does not check `expires_at`.
    #[must_use]
    pub fn verify_email_change(&self, signed: &str) -> Option<EmailChange> {
        let (text, signature) = signed.split_once('.')?;
        self.is_signature_of(&format!("{PURPOSE}{text}"), signature).then(|| EmailChange::decode(text)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;
    use crate::auth::token::DEFAULT_LIFETIME;

    #[test]
    fn a_signed_change_is_verified_and_a_forged_one_rejected() {
        let change = EmailChange {
            user: UserId::from_bytes([7; 12]),
            from: "old@x.test".parse().unwrap(),
            to: "new@x.test".parse().unwrap(),
            expires_at: Timestamp::from_millis(5),
        };
        let tokens = Tokens::new(&Secret::from("mysecretkey"), DEFAULT_LIFETIME);
        let signed = tokens.sign_email_change(&change);
        assert_eq!(tokens.verify_email_change(&signed), Some(change.clone()));
        let others = Tokens::new(&Secret::from("another"), DEFAULT_LIFETIME);
        assert_eq!(others.verify_email_change(&signed), None);
        let (text, signature) = signed.split_once('.').unwrap();
        let forged = EmailChange { to: "evil@x.test".parse().unwrap(), ..change }.encode();
        for wrong in [format!("{forged}.{signature}"), text.to_owned(), format!("{text}."), String::new(), ".".into()] {
            assert_eq!(tokens.verify_email_change(&wrong), None, "{wrong}");
        }
    }
}
