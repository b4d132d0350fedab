//! How tokens are signed.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::alias;
use crate::auth::Secret;
use crate::disk::{beside, private_file};

/// Well-known secrets: from the code of the replaced server, and from examples that people copy.
const WELL_KNOWN: [&str; 8] = [
    "mysecretkey",
    "secret",
    "changeme",
    "your-256-bit-secret",
    "your_jwt_secret",
    "your-secret-key",
    "a-string-secret-at-least-256-bits-long",
    "set JWT_SECRET to something long and random",
];

/// The shortest secret, in bytes: RFC 7518 requires an HS256 key to be as long as its digest.
const SHORTEST: usize = 32;

/// The fewest different bytes in a secret; fewer are a repeated pattern, such as all zeros.
const FEWEST_DIFFERENT: usize = 8;

/// How tokens are signed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct AuthConfig {
    /// Secret that signs tokens [default: `$JWT_SECRET`, or generated at the first start].
    ///
    /// At least 32 random bytes, e.g. the output of `openssl rand -hex 32`. A generated one is saved beside the data file, with
    /// `.secret` appended to its name. Required with MongoDB, where all servers of one database must use the same secret. A new
    /// secret invalidates all tokens and links to attachments.
    #[arg(long, env = "DESKLINE_JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub jwt_secret: Option<Secret>,
    /// Accept a secret of fewer than 32 bytes.
    ///
    /// Only for a transition in which the replaced server still runs with such a secret: anybody who guesses it can
    /// sign in as any admin.
    #[arg(long, env = "DESKLINE_ALLOW_SHORT_SECRET")]
    pub allow_short_secret: bool,
    /// How long a token is valid, e.g. `12h`.
    #[arg(long, env = "DESKLINE_TOKEN_LIFETIME", default_value = "1day", value_name = "TIME",
        value_parser = humantime::parse_duration)]
    pub token_lifetime: Duration,
}

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is public.
    #[error(
        "the JWT secret {0:?} is well-known, so anybody could sign in as an admin\n\
         hint: set JWT_SECRET to the output of `openssl rand -hex 32`, here and on the replaced server; everybody then has to log in again"
    )]
    WellKnown(String),
    /// It can be guessed.
    #[error(
        "the JWT secret can be guessed: it has fewer than {SHORTEST} bytes, or repeats a few of them\n\
         hint: set JWT_SECRET to the output of `openssl rand -hex 32`, here and on the replaced server; as long as that one needs a short \
         secret, start with --allow-short-secret"
    )]
    TooShort,
    /// None is given, and there is no data file to save a generated one beside.
    #[error(
        "no JWT secret is set, which MongoDB requires\n\
         hint: set JWT_SECRET to the secret of the other servers on this database, or to the output of `openssl rand -hex 32`"
    )]
    NotGiven,
    /// The file with the generated secret cannot be read or written.
    #[error(
        "cannot read or write the generated secret in {0}\nhint: set JWT_SECRET, or make the folder writable for this user"
    )]
    File(PathBuf, #[source] std::io::Error),
}

impl AuthConfig {
    pub(crate) fn complete(&mut self) {
        if self.jwt_secret.is_none() {
            self.jwt_secret = alias("JWT_SECRET").map(Secret::from);
        }
    }

    /// The secret that is set, or the one in `<data>.secret`, which is generated at the first start. Without a data file it must
    /// be set.
    ///
    /// # Errors
    /// [`SecretError`] if it is weak or missing, or the file cannot be read or written.
    pub fn secret(&self, data: Option<&Path>, demo: bool) -> Result<Secret, SecretError> {
        let Some(given) = &self.jwt_secret else { return data.map_or(Err(SecretError::NotGiven), kept_beside) };
        if demo {
            return Ok(given.clone());
        }
        let text = given.expose();
        if WELL_KNOWN.iter().any(|known| known.eq_ignore_ascii_case(text.trim())) {
            return Err(SecretError::WellKnown(text.to_owned()));
        }
        if is_guessable(text) && (!self.allow_short_secret || text.is_empty()) {
            return Err(SecretError::TooShort);
        }
        Ok(given.clone())
    }
}

fn is_guessable(secret: &str) -> bool {
    let mut bytes = secret.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    secret.len() < SHORTEST || bytes.len() < FEWEST_DIFFERENT
}

/// The file with the generated secret of a server on this data file.
#[must_use]
pub fn secret_file(data: &Path) -> PathBuf {
    beside(data, ".secret")
}

fn kept_beside(data: &Path) -> Result<Secret, SecretError> {
    let path = secret_file(data);
    let failed = |error| SecretError::File(path.clone(), error);
    match fs::read_to_string(&path) {
        Ok(kept) if kept.trim().len() >= SHORTEST => Ok(Secret::from(kept.trim().to_owned())),
        Ok(_) => Err(failed(ErrorKind::InvalidData.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let secret = hex::encode(rand::random::<[u8; 32]>());
            let mut file = private_file(&path).map_err(failed)?;
            file.write_all(secret.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            Ok(Secret::from(secret))
        }
        Err(error) => Err(failed(error)),
    }
}
