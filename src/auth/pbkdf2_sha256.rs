//! Django's password hashes: `pbkdf2_sha256$iterations$salt$hash`, the last in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Prefix of every such hash.
pub(super) const PREFIX: &str = "pbkdf2_sha256$";

/// Most rounds that are accepted: far more than any Django release uses. A stored hash with more would block the server.
const MAX_ROUNDS: u32 = 10_000_000;

/// Verifies a password. A malformed hash matches no password.
pub(super) fn verify(password: &str, hash: &str) -> bool {
    let Some((rounds, salt, expected)) = parse(hash) else { return false };
    let mut computed = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt.as_bytes(), rounds, &mut computed);
    computed[..].ct_eq(&expected).into()
}

fn parse(hash: &str) -> Option<(u32, &str, Vec<u8>)> {
    let mut parts = hash.strip_prefix(PREFIX)?.split('$');
    let (rounds, salt, digest) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
    let complete = parts.next().is_none() && (1..=MAX_ROUNDS).contains(&rounds);
    complete.then(|| STANDARD.decode(digest).ok().map(|digest| (rounds, salt, digest))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with `hashlib.pbkdf2_hmac("sha256", b"secret1", b"seasalt", 1000)`, as Django does.
    const HASH: &str = "pbkdf2_sha256$1000$seasalt$FdUiMdOQHQeyiAHq106pyW6SAxen8MVD8g95FEReFpc=";

    #[test]
    fn a_hash_made_by_django_matches_its_password_only() {
        assert!(verify("secret1", HASH));
        assert!(!verify("secret2", HASH));
        assert!(!verify("", HASH));
    }

    #[test]
    fn damaged_hashes_match_no_password() {
        for hash in [
            "pbkdf2_sha256$",
            "pbkdf2_sha256$1000$seasalt",
            "pbkdf2_sha256$1000$seasalt$",
            "pbkdf2_sha256$0$seasalt$AAAA",
            "pbkdf2_sha256$4294967295$seasalt$AAAA",
            "pbkdf2_sha256$x$seasalt$AAAA",
            "pbkdf2_sha256$1000$seasalt$???",
            &format!("{HASH}$more"),
        ] {
            assert!(!verify("secret1", hash), "{hash}");
        }
    }
}
