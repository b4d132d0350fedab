//! One server per data file.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Held for as long as a server uses a data file. Falls with the process, however that ends.
#[derive(Debug)]
pub struct DataFileLock(#[expect(dead_code, reason = "held for its lock alone")] File);

/// Another server uses the data file, or the lock beside it cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DataFileLocked {
    /// Somebody else holds it.
    #[error("another deskline is already serving {0}")]
    InUse(PathBuf),
    /// The folder is not there.
    #[error("the folder of the data file {0} does not exist\nhint: make it, or choose another place with --data")]
    NoFolder(PathBuf),
    /// The folder cannot be written.
    #[error(
        "this user may not write to the folder of the data file {0}\nhint: make it writable, or choose another place with --data"
    )]
    NotWritable(PathBuf),
    /// The lock file cannot be made.
    #[error("cannot make the lock file {0}")]
    Io(PathBuf, #[source] std::io::Error),
}

impl DataFileLock {
    /// Takes the lock of the data file at `path`: a file beside it with `.lock` added to its name.
    ///
    /// # Errors
    /// [`DataFileLocked`] says why not.
    pub fn take(path: &Path) -> Result<Self, DataFileLocked> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let open = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let file = open.map_err(|error| match error.kind() {
            ErrorKind::NotFound => DataFileLocked::NoFolder(path.to_owned()),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => DataFileLocked::NotWritable(path.to_owned()),
            _ => DataFileLocked::Io(lock_path.clone(), error),
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(DataFileLocked::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(DataFileLocked::Io(lock_path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_named_and_not_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let refused = DataFileLock::take(&folder.path().join("none/desk.db")).unwrap_err().to_string();
        assert!(refused.contains("none/desk.db does not exist") && refused.contains("hint: "), "{refused}");
    }
}
