//! Password hashes: argon2id for new ones; those of the replaced servers are still accepted.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

use super::pbkdf2_sha256;

/// Longest password in bytes. Hashing longer ones would add cost and no security.
pub const MAX_PASSWORD: usize = 1024;

/// Passwords hashed concurrently. Each uses a core and 19 MiB.
const AT_ONCE: usize = 2;

/// Longest time that a password waits to be hashed.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Shortest time until a wrong password is rejected, see [`Passwords::verify`].
const MIN_REFUSAL: Duration = Duration::from_millis(300);

/// Upper bounds for stored hashes. More expensive ones are damaged or malicious, and would block the server.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 64;
const MAX_BCRYPT_COST: u32 = 16;

/// Hashes and verifies passwords on blocking threads, two at a time.
#[derive(Clone, Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    argon2: Argon2<'static>,
    min_refusal: Duration,
}

/// Why a password could not be hashed or verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is longer than [`MAX_PASSWORD`] bytes.
    #[error("the password is too long")]
    TooLong,
    /// Too many passwords are waiting. A retry may succeed.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// Hashing failed unexpectedly.
    #[error("the password could not be hashed")]
    Failed,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::with(Params::default(), MIN_REFUSAL)
    }
}

impl Passwords {
    fn with(params: Params, min_refusal: Duration) -> Self {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), argon2, min_refusal }
    }

    /// Cheap hashes and immediate refusals, so that tests do not wait.
    #[cfg(test)]
    pub(crate) fn quick() -> Self {
        Self::with(Params::new(8, 1, 1, None).unwrap(), Duration::ZERO)
    }

    /// The argon2id hash of a new password, in PHC form: `$argon2id$v=19$...`.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        if password.len() > MAX_PASSWORD {
            return Err(PasswordError::TooLong);
        }
        let argon2 = self.argon2.clone();
        self.with_permit(move || hashed(&argon2, &password)).await?
    }

    /// Verifies a password against a hash: argon2id, bcrypt (`$2a$`, `$2b$`, `$2y$`) or Django's `pbkdf2_sha256$`.
    ///
    /// Pass `None` if the account does not exist or has no password. A hash is computed anyway, and the result is `false`.
    ///
    /// A migrated database has hashes that differ in cost, so `false` is never returned within 300 ms: response times do not reveal
    /// which addresses have accounts. bcrypt uses the first 72 bytes only. A password that is too long is rejected without hashing
    /// it.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, PasswordError> {
        let began = Instant::now();
        let argon2 = self.argon2.clone();
        let is_right = password.len() <= MAX_PASSWORD
            && self.with_permit(move || matches(&argon2, &password, hash.as_deref())).await?;
        if !is_right {
            sleep_until(began + self.min_refusal).await;
        }
        Ok(is_right)
    }

    /// Whether a hash differs in kind or strength from new ones, and should be replaced.
    #[must_use]
    pub fn needs_rehash(&self, hash: &str) -> bool {
        let current = PasswordHash::new(hash).ok().filter(|hash| hash.algorithm.as_str() == "argon2id");
        let Some(params) = current.and_then(|hash| Params::try_from(&hash).ok()) else { return true };
        let wanted = self.argon2.params();
        (params.m_cost(), params.t_cost(), params.p_cost()) != (wanted.m_cost(), wanted.t_cost(), wanted.p_cost())
    }

    /// Runs `work` on a blocking thread, [`AT_ONCE`] at a time.
    async fn with_permit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = timeout(MAX_WAIT, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Failed)?;
        // The permit moves into the task: hashing continues after the caller was dropped, and must still be counted.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await.map_err(|_| PasswordError::Failed)
    }
}

fn hashed(argon2: &Argon2<'_>, password: &str) -> Result<String, PasswordError> {
    let hash = argon2.hash_password(password.as_bytes()).map_err(|_| PasswordError::Failed)?;
    Ok(hash.to_string())
}

fn matches(argon2: &Argon2<'_>, password: &str, hash: Option<&str>) -> bool {
    match hash {
        Some(hash) if hash.starts_with("$argon2id$") => matches_argon2(argon2, password, hash),
        Some(hash) if hash.starts_with("$2") => matches_bcrypt(password, hash),
        Some(hash) if hash.starts_with(pbkdf2_sha256::PREFIX) => pbkdf2_sha256::verify(password, hash),
        Some(_) | None => {
            // So that an unknown account takes as long as a known one.
            let _: Result<String, PasswordError> = hashed(argon2, password);
            false
        }
    }
}

fn matches_argon2(argon2: &Argon2<'_>, password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    let is_affordable =
        Params::try_from(&hash).is_ok_and(|params| params.m_cost() <= MAX_MEMORY_KIB && params.t_cost() <= MAX_PASSES);
    is_affordable && argon2.verify_password(password.as_bytes(), &hash).is_ok()
}

fn matches_bcrypt(password: &str, hash: &str) -> bool {
    let is_affordable = hash.parse().is_ok_and(|parts: bcrypt::HashParts| parts.get_cost() <= MAX_BCRYPT_COST);
    is_affordable && bcrypt::verify(password, hash).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn matches_hash(password: &str, hash: &str) -> bool {
        Passwords::quick().verify(password.to_owned(), Some(hash.to_owned())).await.unwrap()
    }

    #[tokio::test]
    async fn a_new_hash_is_argon2id_and_matches_its_password_only() {
        let passwords = Passwords::quick();
        let hash = passwords.hash("sécret".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert!(matches_hash("sécret", &hash).await);
        assert!(!matches_hash("secret", &hash).await);
        assert_ne!(passwords.hash("sécret".to_owned()).await.unwrap(), hash, "each hash has its own salt");
    }

    #[tokio::test]
    async fn hashes_of_the_replaced_servers_are_accepted() {
        let made_by_node = bcrypt::hash("secret1", 4).unwrap();
        for version in ["$2a$", "$2b$", "$2y$"] {
            let hash = made_by_node.replacen("$2b$", version, 1);
            assert!(matches_hash("secret1", &hash).await, "{hash}");
            assert!(!matches_hash("secret2", &hash).await, "{hash}");
        }
        // From the test vectors of OpenBSD's bcrypt.
        assert!(matches_hash("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW").await);
    }

    #[tokio::test]
    async fn bcrypt_uses_72_bytes_and_argon2_all() {
        let (long, longer) = ("x".repeat(72), "x".repeat(80));
        assert!(matches_hash(&longer, &bcrypt::hash(&long, 4).unwrap()).await);
        let hash = Passwords::quick().hash(long).await.unwrap();
        assert!(!matches_hash(&longer, &hash).await);
    }

    #[tokio::test]
    async fn overlong_passwords_are_rejected() {
        let password = "x".repeat(MAX_PASSWORD + 1);
        assert_eq!(Passwords::quick().hash(password.clone()).await, Err(PasswordError::TooLong));
        assert!(!matches_hash(&password, &bcrypt::hash(&password, 4).unwrap()).await);
    }

    #[tokio::test]
    async fn damaged_and_too_expensive_hashes_match_no_password() {
        let expensive = "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA";
        let cost_31 = bcrypt::hash("x", 4).unwrap().replacen("$04$", "$31$", 1);
        for hash in ["", "x", "$", "$2", "$2b$é", "$argon2id$", "$argon2id$v=19$m=8", "!", expensive, &cost_31] {
            assert!(!matches_hash("x", hash).await, "{hash}");
        }
        assert_eq!(Passwords::quick().verify("x".into(), None).await, Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn no_password_is_rejected_early() {
        let passwords = Passwords { min_refusal: MIN_REFUSAL, ..Passwords::quick() };
        let hash = bcrypt::hash("secret1", 4).unwrap();
        for hash in [None, Some(hash), Some("damaged".to_owned())] {
            let began = Instant::now();
            assert_eq!(passwords.verify("x".into(), hash).await, Ok(false));
            assert!(began.elapsed() >= MIN_REFUSAL);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_that_waits_too_long_is_an_error() {
        let passwords = Passwords::quick();
        let _both = Arc::clone(&passwords.permits).acquire_many_owned(2).await.unwrap();
        assert_eq!(passwords.hash("secret1".into()).await, Err(PasswordError::Busy));
    }

    #[tokio::test]
    async fn hashes_of_another_kind_or_strength_need_a_rehash() {
        let hash = Passwords::quick().hash("secret1".into()).await.unwrap();
        assert!(!Passwords::quick().needs_rehash(&hash));
        assert!(Passwords::default().needs_rehash(&hash));
        assert!(Passwords::quick().needs_rehash(&bcrypt::hash("secret1", 4).unwrap()));
    }
}
