//! Files of attachments. Under its final name, a file is complete and survives a power loss.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs;

/// What a file's name ends with until it is whole.
pub const PART: &str = "part";

/// Where a file is written until it is whole.
#[must_use]
pub fn part_of(whole: &Path) -> PathBuf {
    let mut part = whole.as_os_str().to_owned();
    part.push(".");
    part.push(PART);
    part.into()
}

/// Gives what was written to its [`part_of`] the file's own name, and returns once that is durable.
///
/// # Errors
/// What the file system says; the file may then have either name.
pub async fn publish(whole: &Path) -> io::Result<()> {
    let part = part_of(whole);
    fs::File::options().write(true).open(&part).await?.sync_all().await?;
    fs::rename(&part, whole).await?;
    // The name is the folder's, not the file's.
    #[cfg(unix)]
    if let Some(folder) = whole.parent() {
        fs::File::open(folder).await?.sync_all().await?;
    }
    Ok(())
}

/// Copies a file into the folder, which is made if need be; gives how long it is.
///
/// # Errors
/// As [`publish`]; there is nothing under the file's own name then.
pub async fn copy(from: &Path, whole: &Path) -> io::Result<u64> {
    if let Some(folder) = whole.parent() {
        fs::create_dir_all(folder).await?;
    }
    let size = fs::copy(from, part_of(whole)).await?;
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
}
