//! Which tokens of an account are still valid.
//!
//! Tokens name no session: they are revoked by time of issue. An account stores the second from which its tokens are valid, and the
//! digests of tokens that were logged out one by one. Both are read with the account, so a check needs no further lookup.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::Timestamp;

/// How many tokens of an account can be logged out one by one. After that, all of them are revoked.
const MAX_ENDED: usize = 256;

/// What decides whether a token is still valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenStamp {
    /// When it was issued, in seconds since 1970; `None` if it does not have this claim.
    pub issued_at: Option<i64>,
    /// Identifies it.
    pub digest: TokenDigest,
}

/// The first half of a token's SHA-256: identifies a token, but cannot be used in its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TokenDigest(u128);

/// The text is not a digest, which has 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the digest of a token")]
pub struct TokenDigestError;

impl TokenDigest {
    /// From the first 16 bytes of the SHA-256.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// What [`from_bytes`](Self::from_bytes) reads.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for TokenDigest {
    type Err = TokenDigestError;

    fn from_str(text: &str) -> Result<Self, TokenDigestError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| TokenDigestError)?;
        Ok(Self::from_bytes(bytes))
    }
}

/// Which tokens of an account were revoked.
///
/// ```
/// use deskline::domain::session::{Sessions, TokenDigest, TokenStamp};
/// use deskline::domain::Timestamp;
///
/// let now = Timestamp::from_millis(10_900);
/// let issued_at = |at: Timestamp| TokenStamp { issued_at: Some(at.seconds()), digest: TokenDigest::from_bytes([1; 16]) };
/// let mut sessions = Sessions::default();
/// let before = issued_at(sessions.issue_time(now));
/// sessions.end_all(now);
/// let after = issued_at(sessions.issue_time(now));
/// assert!(!sessions.accepts(&before) && sessions.accepts(&after), "in the same second");
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sessions {
    /// Tokens issued before this second are invalid; 0 if they were never revoked.
    pub valid_from: i64,
    /// Tokens that were logged out, and when they expire.
    pub ended: BTreeMap<TokenDigest, Timestamp>,
}

impl Sessions {
    /// Whether an otherwise valid token is still accepted. A token without a time of issue is accepted until tokens are revoked for the
    /// first time.
    #[must_use]
    pub fn accepts(&self, token: &TokenStamp) -> bool {
        let is_old = self.valid_from > 0 && token.issued_at.is_none_or(|issued_at| issued_at < self.valid_from);
        !is_old && !self.ended.contains_key(&token.digest)
    }

    /// Whether any token is revoked.
    #[must_use]
    pub fn any(&self) -> bool {
        self.valid_from > 0 || !self.ended.is_empty()
    }

    /// Revokes all tokens that were issued so far.
    ///
    /// Times of issue are whole seconds, and a token that was issued earlier in the same second has to be distinguished from one that is
    /// issued later in it. So tokens are valid from the *next* second on, and [`issue_time`](Self::issue_time) dates new ones
    /// accordingly. Each call advances the start by at least a second, even if the clock was set back.
    pub fn end_all(&mut self, now: Timestamp) {
        self.valid_from = now.seconds().max(self.valid_from).saturating_add(1);
        self.ended.clear();
    }

    /// Revokes one token, which expires at `until`.
    pub fn end_one(&mut self, token: TokenDigest, until: Timestamp, now: Timestamp) {
        self.ended.retain(|_, until| *until > now);
        if self.ended.len() >= MAX_ENDED {
            self.end_all(now);
        } else {
            self.ended.insert(token, until);
        }
    }

    /// The time of issue for a token that is created now.
    #[must_use]
    pub fn issue_time(&self, now: Timestamp) -> Timestamp {
        now.max(Timestamp::from_millis(self.valid_from.saturating_mul(1000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_249_336_400);

    fn digest(n: u128) -> TokenDigest {
        TokenDigest(n)
    }

    fn issued(at: Timestamp) -> TokenStamp {
        TokenStamp { issued_at: Some(at.seconds()), digest: digest(1) }
    }

    #[test]
    fn all_sessions_may_be_ended_several_times_in_one_second() {
        let mut sessions = Sessions::default();
        let mut last = issued(sessions.issue_time(NOW));
        for _ in 0..5 {
            assert!(sessions.accepts(&last));
            sessions.end_all(NOW);
            assert!(!sessions.accepts(&last));
            last = issued(sessions.issue_time(NOW));
        }
        assert!(sessions.accepts(&last));
    }

    #[test]
    fn a_clock_that_is_set_back_revives_no_token() {
        let mut sessions = Sessions::default();
        sessions.end_all(NOW);
        let token = issued(sessions.issue_time(NOW));
        sessions.end_all(Timestamp::from_millis(0));
        assert!(!sessions.accepts(&token));
        assert!(sessions.accepts(&issued(sessions.issue_time(Timestamp::from_millis(0)))));
    }

    #[test]
    fn a_token_without_a_time_of_issue_counts_until_sessions_are_ended() {
        let (mut sessions, token) = (Sessions::default(), TokenStamp { issued_at: None, digest: digest(1) });
        assert!(sessions.accepts(&token));
        sessions.end_all(NOW);
        assert!(!sessions.accepts(&token));
    }

    #[test]
    fn one_token_is_ended_alone_and_forgotten_once_it_has_expired() {
        let mut sessions = Sessions::default();
        let until = Timestamp::from_millis(NOW.millis() + 1000);
        sessions.end_one(digest(1), until, NOW);
        assert!(!sessions.accepts(&issued(NOW)));
        assert!(sessions.accepts(&TokenStamp { digest: digest(2), ..issued(NOW) }));
        sessions.end_one(digest(3), Timestamp::from_millis(until.millis() + 1), until);
        assert_eq!(sessions.ended.keys().copied().collect::<Vec<_>>(), [digest(3)]);
    }

    #[test]
    fn too_many_ended_one_by_one_end_all() {
        let mut sessions = Sessions::default();
        let until = Timestamp::from_millis(NOW.millis() + 1000);
        for n in 0..=MAX_ENDED as u128 {
            sessions.end_one(digest(n), until, NOW);
        }
        assert!(sessions.ended.is_empty());
        assert!(!sessions.accepts(&TokenStamp { digest: digest(0), ..issued(NOW) }), "none of them comes back");
    }

    #[test]
    fn digests_are_read_back() {
        let digest = TokenDigest::from_bytes([0x0a; 16]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for text in ["", "0a", "+a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", &"g".repeat(32)] {
            assert_eq!(text.parse::<TokenDigest>(), Err(TokenDigestError), "{text}");
        }
    }
}
