//! Reads an archive.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tar::{Archive, Entry, EntryType};

use super::{BackupError, DATA, FILES, FORMAT, MANIFEST, Manifest, Member, SECRET};
use crate::disk::{private_file, private_folder};

/// The longest manifest, in bytes: some two million attachments.
const LONGEST_MANIFEST: u64 = 512 << 20;

/// How much is read at a time.
const BUFFER: usize = 256 << 10;

/// Reads an archive whole, and compares each member with its checksum.
///
/// # Errors
/// [`BackupError`], also if the archive is damaged.
pub fn check(archive: &Path) -> Result<Manifest, BackupError> {
    read(archive, |_| Ok(None))
}

/// Unpacks an archive into an empty folder, under the names that the members have in it. Everything is synced, and can be read by
/// its owner only.
///
/// # Errors
/// As [`check`]; also if the folder cannot be written. What has been unpacked is left.
pub fn extract(archive: &Path, folder: &Path) -> Result<Manifest, BackupError> {
    private_folder(&folder.join(FILES)).map_err(BackupError::at(folder))?;
    read(archive, |name| {
        let path = folder.join(name);
        private_file(&path).map(Some).map_err(BackupError::at(path))
    })
}

/// Reads all members. `open` names the file that a member is copied to, if any.
fn read(archive: &Path, open: impl Fn(&str) -> Result<Option<File>, BackupError>) -> Result<Manifest, BackupError> {
    let file = File::open(archive).map_err(BackupError::at(archive))?;
    let mut archive_reader = Archive::new(BufReader::with_capacity(BUFFER, file));
    let mut found: Vec<Member> = Vec::new();
    for entry in archive_reader.entries().map_err(BackupError::at(archive))? {
        // The library cannot tell a damaged header from another file, or from the end of one that was cut off.
        let mut entry =
            entry.map_err(|_| if found.is_empty() { BackupError::NotABackup } else { BackupError::CutOff })?;
        let name = name_of(&entry, found.is_empty())?;
        if name == MANIFEST {
            return compare(&mut entry, &found);
        }
        let mut copy = open(&name)?;
        let member = copy_member(&mut entry, name, copy.as_mut()).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BackupError::CutOff,
            _ => BackupError::at(archive)(error),
        })?;
        found.push(member);
    }
    Err(if found.is_empty() { BackupError::NotABackup } else { BackupError::CutOff })
}

/// The name of a member. Other names than those that are written could leave the folder.
fn name_of(entry: &Entry<'_, impl Read>, is_first: bool) -> Result<String, BackupError> {
    let strange = || BackupError::NotABackup;
    let name = entry.path().ok().and_then(|path| path.to_str().map(str::to_owned)).ok_or_else(strange)?;
    let is_plain =
        |file: &str| !file.is_empty() && !file.contains(['/', '\\', ':', '\0']) && file != "." && file != "..";
    let is_known = match name.split_once('/') {
        Some((folder, file)) => folder == FILES && is_plain(file),
        None => [DATA, SECRET, MANIFEST].contains(&name.as_str()),
    };
    let is_expected = is_known && entry.header().entry_type() == EntryType::Regular && is_first == (name == DATA);
    is_expected.then_some(name).ok_or_else(strange)
}

fn copy_member(entry: &mut Entry<'_, impl Read>, name: String, mut copy: Option<&mut File>) -> io::Result<Member> {
    let (mut digest, mut size, mut buffer) = (Sha256::new(), 0, vec![0; BUFFER]);
    loop {
        let count = entry.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
        size += count as u64;
        if let Some(copy) = &mut copy {
            copy.write_all(&buffer[..count])?;
        }
    }
    if size != entry.size() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if let Some(copy) = copy {
        copy.sync_all()?;
    }
    Ok(Member { name, size, sha256: hex::encode(digest.finalize()) })
}

/// Reads the manifest, and compares it with the members found.
fn compare(entry: &mut Entry<'_, impl Read>, found: &[Member]) -> Result<Manifest, BackupError> {
    let size = entry.size();
    let mut text = Vec::new();
    let read = entry.take(LONGEST_MANIFEST).read_to_end(&mut text);
    if read.is_err() || text.len() as u64 != size {
        return Err(BackupError::CutOff);
    }
    let damaged = || BackupError::Damaged(MANIFEST.to_owned());
    let any: serde_json::Value = serde_json::from_slice(&text).map_err(|_| damaged())?;
    if any["format"].as_u64().is_none_or(|format| format > u64::from(FORMAT)) {
        return Err(BackupError::Newer(any["version"].as_str().unwrap_or("unknown").to_owned()));
    }
    let manifest: Manifest = serde_json::from_value(any).map_err(|_| damaged())?;
    let differs = |(written, found): &(&Member, &Member)| written != found;
    if let Some((written, _)) = manifest.members.iter().zip(found).find(differs) {
        return Err(BackupError::Damaged(written.name.clone()));
    }
    if manifest.members.len() != found.len() {
        return Err(damaged());
    }
    Ok(manifest)
}
