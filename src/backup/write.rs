//! Writes an archive.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::{BackupError, Contents, DATA, FILES, FORMAT, MANIFEST, Manifest, Member, SECRET};
use crate::disk::private_file;

/// Writes an archive to `to`, which must not exist, and syncs it. Only its owner can read it.
///
/// # Errors
/// [`BackupError::File`] if anything cannot be read or written. What has been written of the archive is left.
pub fn write(to: &Path, contents: &Contents) -> Result<Manifest, BackupError> {
    let file = private_file(to).map_err(BackupError::at(to))?;
    let mut archive = Builder::new(BufWriter::new(file));
    let mut members = vec![add(&mut archive, DATA, &contents.data, to)?];
    if let Some(secret) = &contents.secret {
        members.push(add(&mut archive, SECRET, secret, to)?);
    }
    let mut missing = Vec::new();
    for name in &contents.files {
        match add(&mut archive, &format!("{FILES}/{name}"), &contents.folder.join(name), to) {
            Ok(member) => members.push(member),
            Err(BackupError::File { source, .. }) if source.kind() == ErrorKind::NotFound => missing.push(name.clone()),
            Err(error) => return Err(error),
        }
    }
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema: contents.schema,
        taken_at: contents.taken_at.clone(),
        members,
        missing,
    };
    finish(archive, &manifest).map_err(BackupError::at(to))?;
    Ok(manifest)
}

fn finish(mut archive: Builder<BufWriter<File>>, manifest: &Manifest) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(manifest)?;
    archive.append_data(&mut header(text.len() as u64), MANIFEST, text.as_slice())?;
    archive.into_inner()?.into_inner()?.sync_all()
}

fn add(archive: &mut Builder<impl Write>, name: &str, from: &Path, to: &Path) -> Result<Member, BackupError> {
    let file = File::open(from).map_err(BackupError::at(from))?;
    let size = file.metadata().map_err(BackupError::at(from))?.len();
    let mut content = Hashing { content: file.take(size), digest: Sha256::new(), read: 0 };
    archive.append_data(&mut header(size), name, &mut content).map_err(BackupError::at(to))?;
    if content.read != size {
        return Err(BackupError::at(from)(io::Error::new(ErrorKind::UnexpectedEof, "it became shorter meanwhile")));
    }
    Ok(Member { name: name.to_owned(), size, sha256: hex::encode(content.digest.finalize()) })
}

fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size);
    header
}

/// Computes the checksum of what is read through it.
struct Hashing<R> {
    content: R,
    digest: Sha256,
    read: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.digest.update(&buffer[..count]);
        self.read += count as u64;
        Ok(count)
    }
}
