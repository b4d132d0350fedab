//! Files of attachments. A file under its final name is complete and durable.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs;

use crate::disk;

/// The extension of incomplete files.
pub const PART: &str = "part";

/// The path of a file while it is incomplete.
#[must_use]
pub fn part_of(whole: &Path) -> PathBuf {
    disk::beside(whole, &format!(".{PART}"))
}

/// Creates the [`part_of`] a file, and the folder if need be. Both can be read by their owner only.
///
/// # Errors
/// Any error of the file system, also if the file exists.
pub async fn create(whole: &Path) -> io::Result<fs::File> {
    create_folder(whole).await?;
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(part_of(whole)).await
}

/// Creates the folder of a file, unless it exists.
async fn create_folder(whole: &Path) -> io::Result<()> {
    let Some(folder) = whole.parent() else { return Ok(()) };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder).await
}

/// Renames a file that was written to its [`part_of`] path to its final name. Durable when this returns.
///
/// # Errors
/// Any error of the file system. The file may then have either name.
pub async fn publish(whole: &Path) -> io::Result<()> {
    let part = part_of(whole);
    fs::File::options().write(true).open(&part).await?.sync_all().await?;
    fs::rename(&part, whole).await?;
    // The rename is durable once the folder is synced.
    #[cfg(unix)]
    if let Some(folder) = whole.parent() {
        fs::File::open(folder).await?.sync_all().await?;
    }
    Ok(())
}

/// Copies a file, and creates the target folder if need be. Returns the size of the file in bytes. The copy can be read
/// by its owner only.
///
/// # Errors
/// As [`publish`]. There is no file under the final name then.
pub async fn copy(from: &Path, whole: &Path) -> io::Result<u64> {
    create_folder(whole).await?;
    let part = part_of(whole);
    let size = fs::copy(from, &part).await?;
    // The copy has the permissions of the original.
    #[cfg(unix)]
    fs::set_permissions(&part, std::os::unix::fs::PermissionsExt::from_mode(0o600)).await?;
    publish(whole).await?;
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_copy_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("new/folder/to"));
        std::fs::write(&from, "words").unwrap();
        assert_eq!(copy(&from, &to).await.unwrap(), 5);
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "words");
        assert!(!part_of(&to).exists());
        assert_eq!(part_of(&to).file_name().unwrap(), "to.part");
        std::fs::remove_file(&to).unwrap();
        assert_eq!(copy(&folder.path().join("none"), &to).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!to.exists());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_their_owner_can_read_a_file_and_its_folder() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (from, files) = (folder.path().join("from"), folder.path().join("files"));
        std::fs::write(&from, "words").unwrap();
        std::fs::set_permissions(&from, std::fs::Permissions::from_mode(0o644)).unwrap();
        drop(create(&files.join("new")).await.unwrap());
        publish(&files.join("new")).await.unwrap();
        copy(&from, &files.join("copied")).await.unwrap();
        let modes = [&files, &files.join("new"), &files.join("copied")].map(|path| mode(path));
        assert_eq!(modes, [0o700, 0o600, 0o600]);
    }
}
