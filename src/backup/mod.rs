//! `deskline backup` and `deskline restore`: one file with everything that a server on the embedded store has.
//!
//! The file is a tar archive: a consistent copy of the data file, the secret beside it, the attachments, and, as its last member, a
//! [`Manifest`] with their sizes and checksums. An archive that was cut off has no manifest, and is refused.
//!
//! [`write()`] makes an archive, [`check`] reads it whole, and [`extract`] unpacks it after that. None of them interprets the data file:
//! the commands copy and check it.

use std::io;
use std::path::PathBuf;

mod read;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};

pub use read::{check, extract};
pub use write::write;

/// The version of the format that this program writes.
const FORMAT: u32 = 1;

/// The name of the data file in an archive.
pub const DATA: &str = "data.db";

/// The name of the secret in an archive.
pub const SECRET: &str = "secret";

/// The folder of the attachments in an archive.
pub const FILES: &str = "files";

/// The name of the manifest, which is the last member.
const MANIFEST: &str = "manifest.json";

/// What an archive has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The format of the archive.
    format: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// The schema of the data file.
    pub schema: usize,
    /// When the copy of the data file was made: RFC 3339, UTC.
    pub taken_at: String,
    /// All other members, in order.
    pub members: Vec<Member>,
    /// Attachments that messages refer to, but whose files were not found.
    pub missing: Vec<String>,
}

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its path in the archive.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Whether the secret is in the archive.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.members.iter().any(|member| member.name == SECRET)
    }

    /// The number of attachments in the archive.
    #[must_use]
    pub fn files(&self) -> usize {
        self.members.iter().filter(|member| member.name.starts_with(FILES)).count()
    }
}

/// What goes into an archive.
#[derive(Debug, Clone)]
pub struct Contents {
    /// A copy of the data file that nothing changes.
    pub data: PathBuf,
    /// The schema of the data file.
    pub schema: usize,
    /// When it was copied.
    pub taken_at: String,
    /// The file with the secret, if there is one.
    pub secret: Option<PathBuf>,
    /// The folder of the attachments.
    pub folder: PathBuf,
    /// The names of the attachments in it that are wanted.
    pub files: Vec<String>,
}

/// Why an archive could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file could not be read or written.
    #[error("{}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is something else.
    #[error("this is not a backup that `deskline backup` has written")]
    NotABackup,
    /// The end of the archive is missing.
    #[error("the backup is incomplete: it was cut off")]
    CutOff,
    /// A member is not what the manifest says.
    #[error("the backup is damaged: {0} differs from what was written")]
    Damaged(String),
    /// The archive was written by a later version.
    #[error("the backup was written by version {0}\nhint: restore it with that version or a later one")]
    Newer(String),
}

impl BackupError {
    /// For `map_err`.
    fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
