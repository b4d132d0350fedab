//! One server per data file.

use std::fs::{File, TryLockError};
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
        let file = open.map_err(|error| DataFileLocked::Io(lock_path.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(DataFileLocked::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(DataFileLocked::Io(lock_path, error)),
        }
    }
}
