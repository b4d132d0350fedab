//! How tokens are signed.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::alias;
use crate::auth::Secret;

/// Secrets that everybody knows: from the code of the replaced server, and from the examples that people copy.
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

/// Below this many bytes a secret can be guessed: RFC 7518 asks HS256 for a key as long as its digest.
const SHORTEST: usize = 32;

/// Fewer different bytes than these are a row of zeros, or the like.
const FEWEST_DIFFERENT: usize = 8;

/// How tokens are signed.
#[derive(Debug, Clone, Args)]
pub struct AuthConfig {
    /// What tokens are signed with [default: `$JWT_SECRET`, or one that is generated and kept beside the data file].
    #[arg(long, env = "DESKLINE_JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub jwt_secret: Option<Secret>,
    /// Takes a secret of fewer than 32 bytes. For the time in which the replaced server runs beside this one with such a secret:
    /// whoever guesses it is an admin.
    #[arg(long, env = "DESKLINE_ALLOW_SHORT_SECRET")]
    pub allow_short_secret: bool,
    /// How long a token is good for, e.g. `1day` or `12h`.
    #[arg(long, env = "DESKLINE_TOKEN_LIFETIME", default_value = "1day", value_parser = humantime::parse_duration)]
    pub token_lifetime: Duration,
}

/// Why there is no secret to sign with.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is one that everybody knows.
    #[error(
        "the JWT secret {0:?} is well-known, so anybody could make themselves an admin\nhint: set JWT_SECRET to the output of `openssl rand -hex 32`, here and on the replaced server; people then log in once more"
    )]
    WellKnown(String),
    /// It can be guessed.
    #[error(
        "the JWT secret has fewer than {SHORTEST} bytes, or hardly any different ones, so it can be guessed\nhint: set JWT_SECRET to the output of `openssl rand -hex 32`, here and on the replaced server; while that has to keep a short one, --allow-short-secret takes it"
    )]
    TooShort,
    /// There is no data file to keep a generated one beside.
    #[error(
        "with MongoDB, the JWT secret must be given\nhint: set JWT_SECRET to what the other servers on this database use, or to something long and random"
    )]
    NotGiven,
    /// The file beside the data file cannot be read or written.
    #[error("cannot keep a generated secret in {0}\nhint: set JWT_SECRET, or make its folder writable for this user")]
    File(PathBuf, #[source] std::io::Error),
}

impl AuthConfig {
    pub(crate) fn complete(&mut self) {
        if self.jwt_secret.is_none() {
            self.jwt_secret = alias("JWT_SECRET").map(Secret::from);
        }
    }

    /// The secret: the one given, or the one kept in `<data>.secret`, which is generated at the first start. Where there is
    /// no data file, it has to be given.
    ///
    /// # Errors
    /// [`SecretError`] if it is no good, or cannot be kept.
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

fn kept_beside(data: &Path) -> Result<Secret, SecretError> {
    let mut path = data.as_os_str().to_owned();
    path.push(".secret");
    let path = PathBuf::from(path);
    let failed = |error| SecretError::File(path.clone(), error);
    match fs::read_to_string(&path) {
        Ok(kept) if kept.trim().len() >= SHORTEST => Ok(Secret::from(kept.trim().to_owned())),
        Ok(_) => Err(failed(ErrorKind::InvalidData.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let secret = hex(&rand::random::<[u8; 32]>());
            let mut file = private_file(&path).map_err(failed)?;
            file.write_all(secret.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            Ok(Secret::from(secret))
        }
        Err(error) => Err(failed(error)),
    }
}

/// A new file that only its owner can read.
fn private_file(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
