//! `deskline restore`

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::backup::check_copy;
use super::{logging, say};
use crate::backup::{self, Manifest};
use crate::config::{FilesConfig, LogConfig, StoreConfig, secret_file};
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
        let manifest = tokio::task::spawn_blocking(move || {
            // Read whole before anything is written: a damaged backup is refused at once.
            backup::check(&from)?;
            backup::extract(&from, &folder)
        });
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
        let beside = |ending: &str| {
            let mut path = self.data.as_os_str().to_owned();
            path.push(ending);
            PathBuf::from(path)
        };
        for place in [&self.data, &beside("-wal"), &beside("-journal"), &self.secret, &self.files] {
            let is_empty_folder = || fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
            if place.exists() && !(place == &self.files && is_empty_folder()) {
                bail!("{} exists\nhint: move it away, or choose another place with --data", place.display());
            }
        }
        Ok(())
    }

    /// Moves everything to its place, the data file last: a server finds all of it, or nothing.
    fn move_from(&self, folder: &Path, manifest: &Manifest) -> anyhow::Result<()> {
        if manifest.files() > 0 {
            if self.files.exists() {
                fs::remove_dir(&self.files).with_context(|| format!("replacing {}", self.files.display()))?;
            }
            move_folder(&folder.join(backup::FILES), &self.files)?;
            sync_folder(self.files.parent().unwrap_or(Path::new(".")))?;
        }
        if manifest.has_secret() {
            rename(&folder.join(backup::SECRET), &self.secret)?;
        }
        rename(&folder.join(backup::DATA), &self.data)?;
        sync_folder(self.data.parent().unwrap_or(Path::new(".")))
    }
}

/// Gives a file another name. Unlike a rename, a link never replaces a file, as that of a server that was started meanwhile; some file
/// systems have no links.
fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    let named = match fs::hard_link(from, to) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => fs::rename(from, to),
        linked => linked,
    };
    named.with_context(|| format!("creating {}", to.display()))
}

/// Moves a folder of files, also to another file system.
fn move_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    sync_folder(from)?;
    let moved = fs::rename(from, to);
    if moved.as_ref().is_err_and(|error| error.kind() == ErrorKind::CrossesDevices) {
        private_folder(to)?;
        for file in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
            let file = file?.path();
            let target = to.join(file.file_name().unwrap_or_default());
            let copied = fs::copy(&file, &target).and_then(|_| fs::File::open(&target)?.sync_all());
            copied.with_context(|| format!("creating {}", target.display()))?;
        }
        return sync_folder(to);
    }
    moved.with_context(|| format!("creating {}", to.display()))
}

fn private_folder(path: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("creating {}", path.display()))
}

/// A rename is durable once its folder is synced.
fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    #[cfg(unix)]
    fs::File::open(folder).and_then(|open| open.sync_all()).with_context(|| format!("syncing {}", folder.display()))?;
    Ok(())
}

/// The folder into which a backup is unpacked. Removed on drop.
struct Unpacked(PathBuf);

impl Unpacked {
    /// Beside the data file, so that everything can be renamed. Removes what an interrupted run has left.
    fn beside(data: &Path) -> anyhow::Result<Self> {
        let mut path = data.as_os_str().to_owned();
        path.push(".restoring");
        let folder = Self(path.into());
        drop(fs::remove_dir_all(&folder.0));
        private_folder(&folder.0)?;
        Ok(folder)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
