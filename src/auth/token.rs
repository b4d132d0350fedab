//! Bearer tokens: JWTs signed with HS256 and one configured secret.

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Secret;
use crate::domain::{Role, Timestamp, TokenDigest, TokenStamp, User, UserId};

/// Lifetime of a token, unless configured otherwise.
pub const DEFAULT_LIFETIME: Duration = Duration::from_hours(24);

/// Longest accepted token, in bytes. The accepted claim sets are far shorter.
const MAX_TOKEN: usize = 4096;

/// Issues and verifies tokens.
#[derive(Debug)]
pub struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    lifetime: Duration,
}

/// The account that a token names.
///
/// A token only identifies a person. Their rights are read from the account each time. A `role` or `is_staff` claim is deliberately
/// ignored: it would outlive a block, a deletion or a change of role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub subject: Subject,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// What the account needs to check that the token was not revoked.
    pub token: TokenStamp,
}

/// How a token names an account, which differs between dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// By its id.
    Id(UserId),
    /// By its integer number.
    Number(u64),
}

impl Subject {
    /// Whether it names this account.
    #[must_use]
    pub fn is_of(self, user: &User) -> bool {
        match self {
            Self::Id(id) => id == user.id,
            Self::Number(number) => number == user.number,
        }
    }
}

/// Why a token was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No token was given.
    #[error("no token was given")]
    Missing,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It was not signed with our secret, is damaged, or is of the wrong kind.
    #[error("the token is not valid")]
    Invalid,
}

/// The claims of an issued token: exactly these four, in ASCII only, since browsers decode them with plain `atob`.
#[derive(Serialize)]
struct Issued<'a> {
    id: String,
    role: &'a str,
    iat: i64,
    exp: i64,
}

/// The claims of a pair's tokens, as the storefront and the portal issue them.
#[derive(Serialize)]
struct PairClaims<'a> {
    token_type: &'a str,
    exp: i64,
    iat: i64,
    jti: String,
    user_id: String,
    is_staff: bool,
    username: &'a str,
}

/// An access token, and the refresh token for the next pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// The access token.
    pub access: String,
    /// The refresh token, valid once.
    pub refresh: String,
}

/// The account that a refresh token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshIdentity {
    /// The account.
    pub subject: Subject,
    /// Unique id of the token.
    pub token_id: String,
    /// When it expires.
    pub expires_at: Timestamp,
    /// What the account needs to check that the token was not revoked.
    pub token: TokenStamp,
}

/// Lifetime of a refresh token.
pub const REFRESH_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// The claims that are read, of all accepted claim sets.
#[derive(Deserialize)]
struct Claims {
    exp: i64,
    /// May be a fraction in tokens of other servers.
    iat: Option<f64>,
    nbf: Option<i64>,
    id: Option<String>,
    user_id: Option<NumberOrText>,
    token_type: Option<String>,
    jti: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl Tokens {
    /// Issues and accepts tokens signed with this secret. Issued ones are valid for `lifetime`.
    #[must_use]
    pub fn new(secret: &Secret, lifetime: Duration) -> Self {
        let key = secret.expose().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        // jsonwebtoken would use the system clock, so `verify` checks both times against its own parameter.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        // Tokens of the replaced servers have no audience; one that has was still signed with our secret.
        validation.validate_aud = false;
        validation.leeway = 0;
        Self { signing: EncodingKey::from_secret(key), checking: DecodingKey::from_secret(key), validation, lifetime }
    }

    /// A token for this account, with the claims `id`, `role`, `iat` and `exp` only. `now` is the account's
    /// [`issue_time`](crate::domain::Sessions::issue_time).
    #[must_use]
    pub fn issue(&self, user: UserId, role: Role, now: Timestamp) -> String {
        self.issue_until(user, role, now, now.after(self.lifetime))
    }

    fn issue_until(&self, user: UserId, role: Role, now: Timestamp, until: Timestamp) -> String {
        let claims = Issued { id: user.to_string(), role: role.word(), iat: now.seconds(), exp: until.seconds() };
        encode(&Header::new(Algorithm::HS256), &claims, &self.signing).unwrap_or_else(|error| {
            // Signing four plain claims with HMAC cannot fail. If it did, an empty token would grant no access.
            tracing::error!(%error, "Could not sign a token");
            String::new()
        })
    }

    /// A valid token for this account, also right after a log-out.
    ///
    /// Tokens of one account that are issued in the same second are identical. If that token was logged out already, the expiry is
    /// moved by a second, until the token is a new one. Its time of issue stays the same, so that revoking all tokens issued so far
    /// revokes this one, too.
    #[must_use]
    pub fn issue_to(&self, user: &User, now: Timestamp) -> String {
        let issued_at = user.sessions.issue_time(now);
        let mut until = issued_at.after(self.lifetime);
        loop {
            let token = self.issue_until(user.id, user.role, issued_at, until);
            if !user.sessions.ended.contains_key(&digest(&token)) {
                return token;
            }
            until = until.after(Duration::from_secs(1));
        }
    }

    /// A pair of tokens with the claims of the storefront and the portal.
    #[must_use]
    pub fn issue_pair(&self, user: &User, username: &str, now: Timestamp) -> TokenPair {
        let now = user.sessions.issue_time(now);
        let sign = |token_type, lifetime| {
            let claims = PairClaims {
                token_type,
                exp: now.after(lifetime).seconds(),
                iat: now.seconds(),
                jti: uuid::Uuid::new_v4().simple().to_string(),
                user_id: user.number.to_string(),
                is_staff: user.role.is_agent(),
                // Browsers decode these claims with plain `atob`.
                username: if username.is_ascii() { username } else { "" },
            };
            encode(&Header::new(Algorithm::HS256), &claims, &self.signing).unwrap_or_else(|error| {
                tracing::error!(%error, "Could not sign a token");
                String::new()
            })
        };
        TokenPair { access: sign("access", self.lifetime), refresh: sign("refresh", REFRESH_LIFETIME) }
    }

    /// Verifies a refresh token. The caller has to check that it was not used before.
    ///
    /// # Errors
    /// [`TokenError`]; access tokens are `Invalid`.
    pub fn verify_refresh(&self, token: &str, now: Timestamp) -> Result<RefreshIdentity, TokenError> {
        let claims = self.claims(token)?;
        let (Some("refresh"), Some(token_id)) = (claims.token_type.as_deref(), claims.jti.clone()) else {
            return Err(TokenError::Invalid);
        };
        let as_access = Claims { token_type: Some("access".into()), ..claims };
        let subject = subject(&as_access).ok_or(TokenError::Invalid)?;
        if as_access.exp <= now.seconds() {
            return Err(TokenError::Expired);
        }
        if token_id.is_empty() || token_id.len() > 128 {
            return Err(TokenError::Invalid);
        }
        let expires_at = Timestamp::from_millis(as_access.exp.saturating_mul(1000));
        Ok(RefreshIdentity { subject, token_id, expires_at, token: stamp(token, &as_access) })
    }

    /// Verifies a token without a scheme (see [`without_bearer`]) at the time `now`.
    ///
    /// Accepted claim sets, each with an integer `exp`: `{id}`; `{user_id, token_type: "access"}`, with or without
    /// `is_staff` and `username`. `id` is 24 hex digits, `user_id` may also be the account's number, as an integer or in digits.
    ///
    /// # Errors
    /// [`TokenError`]; a damaged token is `Invalid` even if it has also expired.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, TokenError> {
        let claims = self.claims(token)?;
        let subject = subject(&claims).ok_or(TokenError::Invalid)?;
        if claims.nbf.is_some_and(|nbf| nbf > now.seconds()) {
            return Err(TokenError::Invalid);
        }
        if claims.exp <= now.seconds() {
            return Err(TokenError::Expired);
        }
        let expires_at = Timestamp::from_millis(claims.exp.saturating_mul(1000));
        Ok(Identity { subject, expires_at, token: stamp(token, &claims) })
    }

    /// The signing key.
    pub(super) const fn signing_key(&self) -> &EncodingKey {
        &self.signing
    }

    /// Checks the signature of a token and decodes its claims.
    fn claims(&self, token: &str) -> Result<Claims, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Invalid);
        }
        let token = decode::<Claims>(token, &self.checking, &self.validation).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => TokenError::Expired,
            _ => TokenError::Invalid,
        })?;
        // RFC 7515: a token with a critical header that is not understood must be rejected, and none is understood here.
        if token.header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        Ok(token.claims)
    }
}

/// The token in an `Authorization` header's value: what follows `Bearer`, or the whole text if it has no scheme.
///
/// `axum-extra`'s `TypedHeader` is not used, since it rejects a token without a scheme, and tokens are also sent in Socket.IO's `auth`
/// and in query strings, with or without `Bearer`.
#[must_use]
pub fn without_bearer(value: &str) -> &str {
    let value = value.trim();
    match value.split_at_checked(6) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") && (rest.is_empty() || rest.starts_with(' ')) => {
            rest.trim_start()
        }
        _ => value,
    }
}

/// The same, but empty for any other scheme: a browser repeats the `Basic` credentials of a proxy in front, which are not meant for
/// this server.
#[must_use]
pub fn token_in_header(value: &str) -> &str {
    let token = without_bearer(value);
    if token.contains(' ') { "" } else { token }
}

#[expect(clippy::cast_possible_truncation, reason = "seconds; what is out of range ends at the bound")]
fn stamp(token: &str, claims: &Claims) -> TokenStamp {
    TokenStamp { issued_at: claims.iat.map(|iat| iat.floor() as i64), digest: digest(token) }
}

fn digest(token: &str) -> TokenDigest {
    let mut half = [0; 16];
    // Not of the signature: the last character of its base64 has unused bits, so the same signature can be written differently.
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    half.copy_from_slice(&Sha256::digest(signed.as_bytes())[..16]);
    TokenDigest::from_bytes(half)
}

fn subject(claims: &Claims) -> Option<Subject> {
    match (&claims.id, &claims.user_id, claims.token_type.as_deref()) {
        (Some(id), None, None | Some("access")) => id.parse().ok().map(Subject::Id),
        // Refresh tokens differ from access tokens in this claim only, and must not grant access.
        (None, Some(NumberOrText::Number(number)), Some("access")) => Some(Subject::Number(*number)),
        (None, Some(NumberOrText::Text(text)), Some("access")) => text.parse().map(Subject::Id).ok().or_else(|| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok().map(Subject::Number)).flatten()
        }),
        _ => None,
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
