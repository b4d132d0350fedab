//! `deskline restore`

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::backup::check_copy;
use super::{logging, say};
use crate::backup::{self, Manifest};
use crate::config::{FilesConfig, LogConfig, StoreConfig, secret_file};
use crate::disk;
use crate::store::StoreLocation;
use crate::store::sqlite::SCHEMA;

/// Unpack what `backup` has saved.
///
/// Checks the file, and creates the data file, the secret beside it and the folder of the attachments. None of them may exist.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// File that `deskline backup` has written.
    #[arg(value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    files: FilesConfig,
    #[command(flatten)]
    log: LogConfig,
}

impl Restore {
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        self.store.complete();
        logging::start(&self.log)?;
        let StoreLocation::Sqlite(data) = self.store.location() else {
            bail!(
                "a backup is restored to a data file\nhint: pass --data FILE; `deskline import` copies that to MongoDB"
            );
        };
        let places = Places::new(&data, self.files.folder(Some(&data)));
        places.must_be_free()?;
        let unpacked = Unpacked::beside(&data)?;
        let (from, folder) = (self.from.clone(), unpacked.0.clone());
        let manifest = tokio::task::spawn_blocking(move || backup::extract(&from, &folder));
        let manifest = manifest.await?.with_context(|| format!("reading {}", self.from.display()))?;
        if manifest.schema > SCHEMA {
            bail!(
                "the backup was written by version {}, whose data this version cannot read\nhint: use that version or a later one",
                manifest.version
            );
        }
        places.must_be_free()?;
        places.move_from(&unpacked.0, &manifest)?;
        drop(unpacked);
        let report =
            check_copy(&data).await.with_context(|| format!("everything was restored to {}", data.display()))?;
        say(format_args!(
            "Restored {} conversations, {} entries and {} attachments of {} to {}.",
            report.conversations,
            report.entries,
            manifest.files(),
            manifest.taken_at,
            data.display()
        ))?;
        if !manifest.has_secret() {
            say(
                "The backup has no secret: start the server with the --jwt-secret of the old one, else everybody has to log in again.",
            )?;
        }
        if report.left > 0 {
            say(
                "The data differs from the logs in places, as it did when it was saved. `deskline verify` lists them.",
            )?;
        }
        Ok(())
    }
}

/// Where things are restored to.
struct Places {
    data: PathBuf,
    secret: PathBuf,
    files: PathBuf,
}

impl Places {
    fn new(data: &Path, files: PathBuf) -> Self {
        Self { data: data.to_owned(), secret: secret_file(data), files }
    }

    fn must_be_free(&self) -> anyhow::Result<()> {
        let beside = |ending| disk::beside(&self.data, ending);
        for place in [&self.data, &beside("-wal"), &beside("-journal"), &self.secret, &self.files] {
            let is_empty_folder = || fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
            if place.exists() && !(place == &self.files && is_empty_folder()) {
                bail!("{} exists\nhint: move it away, or choose another place with --data", place.display());
            }
        }
        Ok(())
    }

    /// Moves everything to its place: the data file last, so that no server opens it without its secret and its attachments.
    fn move_from(&self, folder: &Path, manifest: &Manifest) -> anyhow::Result<()> {
        if manifest.files() > 0 {
            if self.files.exists() {
                fs::remove_dir(&self.files).with_context(|| format!("replacing {}", self.files.display()))?;
            }
            let moved = move_folder(&folder.join(backup::FILES), &self.files);
            moved.with_context(|| format!("creating {}", self.files.display()))?;
        }
        if manifest.has_secret() {
            put(&folder.join(backup::SECRET), &self.secret)?;
        }
        put(&folder.join(backup::DATA), &self.data)
    }
}

fn put(from: &Path, to: &Path) -> anyhow::Result<()> {
    let put = disk::put_in_place(from, to).and_then(|()| disk::sync_folder_of(to));
    put.with_context(|| format!("creating {}", to.display()))
}

/// Moves a folder of files, also to another file system.
fn move_folder(from: &Path, to: &Path) -> io::Result<()> {
    disk::sync_folder(from)?;
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => copy_folder(from, to)?,
        moved => moved?,
    }
    disk::sync_folder_of(to)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    disk::private_folder(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        fs::copy(file.path(), &target)?;
        fs::File::open(&target)?.sync_all()?;
    }
    disk::sync_folder(to)
}

/// The folder into which a backup is unpacked. Removed on drop.
struct Unpacked(PathBuf);

impl Unpacked {
    /// Beside the data file, so that everything can be renamed. Removes what an interrupted run has left.
    fn beside(data: &Path) -> anyhow::Result<Self> {
        let folder = Self(disk::beside(data, ".restoring"));
        drop(fs::remove_dir_all(&folder.0));
        let made = disk::private_folder(&folder.0);
        made.with_context(|| format!("creating a folder beside {}", data.display()))?;
        Ok(folder)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
