//! Copies the files of attachments.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{ImportError, Moved};
use crate::store::files;

/// The folders in which the two servers store attachments.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The source.
    pub from: PathBuf,
    /// The target.
    pub to: PathBuf,
}

impl Folders {
    /// Copies a file, unless it exists already.
    pub(super) async fn copy(&self, file: &str, moved: &mut Moved) -> Result<(), ImportError> {
        let failed = |source| ImportError::File { file: file.to_owned(), source };
        // The name comes from a store, which may be malicious.
        if Path::new(file).file_name() != Some(file.as_ref()) {
            moved.files_missing += 1;
            return Ok(());
        }
        let (from, to) = (self.from.join(file), self.to.join(file));
        if tokio::fs::try_exists(&to).await.map_err(failed)? {
            return Ok(());
        }
        match files::copy(&from, &to).await {
            Ok(_) => moved.files += 1,
            Err(error) if error.kind() == ErrorKind::NotFound => moved.files_missing += 1,
            Err(error) => return Err(failed(error)),
        }
        Ok(())
    }
}
