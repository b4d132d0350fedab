//! How tokens are signed.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::alias;
use crate::auth::Secret;

/// The secret that the replaced server had in its code: everybody knows it.
const KNOWN_TO_ALL: &str = "mysecretkey";

/// Below this many characters a secret can be guessed.
const SHORTEST: usize = 8;

/// How tokens are signed.
#[derive(Debug, Clone, Args)]
pub struct AuthConfig {
    /// What tokens are signed with [default: `$JWT_SECRET`, or one that is generated and kept beside the data file].
    #[arg(long, env = "DESKLINE_JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub jwt_secret: Option<Secret>,
    /// How long a token is good for, e.g. `1day` or `12h`.
    #[arg(long, env = "DESKLINE_TOKEN_LIFETIME", default_value = "1day", value_parser = humantime::parse_duration)]
    pub token_lifetime: Duration,
}

/// Why there is no secret to sign with.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is the one that everybody knows.
    #[error(
        "the JWT secret must not be the well-known {KNOWN_TO_ALL:?}\nhint: set JWT_SECRET to something long and random"
    )]
    KnownToAll,
    /// It can be guessed.
    #[error("the JWT secret is shorter than {SHORTEST} characters\nhint: set JWT_SECRET to something long and random")]
    TooShort,
    /// There is no data file to keep a generated one beside.
    #[error(
        "with MongoDB, the JWT secret must be given\nhint: set JWT_SECRET to what the other servers on this database use, or to something long and random"
    )]
    NotGiven,
    /// The file beside the data file cannot be read or written.
    #[error("cannot keep a generated secret in {0}\nhint: set JWT_SECRET, or make the folder writable")]
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
        match given.expose() {
            KNOWN_TO_ALL => Err(SecretError::KnownToAll),
            short if short.chars().count() < SHORTEST => Err(SecretError::TooShort),
            _ => Ok(given.clone()),
        }
    }
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
