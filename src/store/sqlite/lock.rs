//! A lock that allows one server per data file.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Held for as long as a server uses a data file. The operating system releases it when the process ends.
#[derive(Debug)]
pub struct DataFileLock {
    #[expect(dead_code, reason = "only its lock is needed")]
    beside: File,
    #[expect(dead_code, reason = "only its lock is needed")]
    data: Option<File>,
}

/// Why the data file could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum DataFileLocked {
    /// Another server holds the lock.
    #[error("another deskline is already serving {0}")]
    InUse(PathBuf),
    /// The folder does not exist.
    #[error("the folder of the data file {0} does not exist\nhint: create it, or choose another path with --data")]
    NoFolder(PathBuf),
    /// The folder cannot be written.
    #[error(
        "the folder of the data file {0} is not writable for this user\nhint: make it writable, or choose another path with --data"
    )]
    NotWritable(PathBuf),
    /// The data file, or the lock file beside it, is not writable for this user.
    #[error(
        "{0} is not writable for this user\nhint: it may belong to another user who has run deskline here; change its owner"
    )]
    NotOurs(PathBuf),
    /// The data file is a folder.
    #[error("the data file {0} is a folder\nhint: name a file in it with --data")]
    IsFolder(PathBuf),
    /// Another error of the file system.
    #[error("cannot open {0} to lock it")]
    Io(PathBuf, #[source] std::io::Error),
}

impl DataFileLock {
    /// Locks the data file at `path`: a file beside it with `.lock` appended to its name, and the data file itself,
    /// since it may have other names (links) with other lock files.
    ///
    /// # Errors
    /// [`DataFileLocked`] if either cannot be locked.
    pub fn take(path: &Path) -> Result<Self, DataFileLocked> {
        if path.is_dir() {
            return Err(DataFileLocked::IsFolder(path.to_owned()));
        }
        let lock_path = crate::disk::beside(path, ".lock");
        let open = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let beside = open.map_err(|error| not_opened(error, &lock_path, path))?;
        lock(&beside, &lock_path, path)?;
        Ok(Self { beside, data: lock_data(path)? })
    }
}

/// Why `file`, the data file or the lock file beside it, cannot be opened.
fn not_opened(error: std::io::Error, file: &Path, data: &Path) -> DataFileLocked {
    match error.kind() {
        ErrorKind::NotFound => DataFileLocked::NoFolder(data.to_owned()),
        ErrorKind::PermissionDenied if file.exists() => DataFileLocked::NotOurs(file.to_owned()),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => DataFileLocked::NotWritable(data.to_owned()),
        _ => DataFileLocked::Io(file.to_owned(), error),
    }
}

fn lock(file: &File, name: &Path, data: &Path) -> Result<(), DataFileLocked> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(DataFileLocked::InUse(data.to_owned())),
        Err(TryLockError::Error(error)) => Err(DataFileLocked::Io(name.to_owned(), error)),
    }
}

/// On Unix, this lock and those of SQLite do not see each other. It has to be taken before SQLite opens the file, and
/// released after SQLite has closed it: closing a file also releases SQLite's locks of this process on it.
#[cfg(unix)]
fn lock_data(path: &Path) -> Result<Option<File>, DataFileLocked> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let open = File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(path);
    let data = open.map_err(|error| not_opened(error, path, path))?;
    lock(&data, path, path)?;
    Ok(Some(data))
}

/// On other systems, a lock on the data file would also lock out SQLite.
#[cfg(not(unix))]
fn lock_data(_: &Path) -> Result<Option<File>, DataFileLocked> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_a_missing_folder_names_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let refused = DataFileLock::take(&folder.path().join("none/desk.db")).unwrap_err().to_string();
        assert!(refused.contains("none/desk.db does not exist") && refused.contains("hint: "), "{refused}");
    }

    #[test]
    fn the_error_for_a_file_of_another_user_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (data, lock) = (folder.path().join("desk.db"), folder.path().join("desk.db.lock"));
        let refused = || not_opened(ErrorKind::PermissionDenied.into(), &lock, &data).to_string();
        assert!(refused().starts_with("the folder of the data file"), "{}", refused());
        std::fs::write(&lock, "").unwrap();
        assert!(refused().starts_with(&format!("{} is not writable", lock.display())), "{}", refused());
    }
}
