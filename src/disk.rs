//! Files and folders that only their owner can read, and changes of them that survive a power failure.

use std::fs::{DirBuilder, File, OpenOptions, hard_link, rename};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The path with this ending appended to its name, as in `deskline.db` and `deskline.db.secret`.
#[must_use]
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(ending);
    beside.into()
}

/// Creates a file that only its owner can read.
///
/// # Errors
/// Any error of the file system, also if the file exists.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Creates a folder that only its owner can read.
///
/// # Errors
/// Any error of the file system, also if the folder exists.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "permissions are set on Unix"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Gives a file another name in the same file system, unless that name is taken. The old name may remain. Durable once the folder is
/// [synced](sync_folder).
///
/// # Errors
/// Any error of the file system, also if the new name is taken.
pub(crate) fn put_in_place(from: &Path, to: &Path) -> io::Result<()> {
    // Unlike a rename, a link never replaces a file. Some file systems have no links.
    match hard_link(from, to) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists && !to.exists() => rename(from, to),
        linked => linked,
    }
}

/// Makes changes of names in the folder of a file durable.
///
/// # Errors
/// Any error of the file system.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Makes changes of names in a folder durable. Does nothing on systems where a folder cannot be opened.
///
/// # Errors
/// Any error of the file system.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::write(&from, "new").unwrap();
        put_in_place(&from, &to).unwrap();
        std::fs::write(&to, "other").unwrap();
        assert_eq!(put_in_place(&from, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "other");
        sync_folder_of(&to).unwrap();
        sync_folder_of(Path::new("relative")).unwrap();
    }
}
