//! `deskline backup`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::{logging, say};
use crate::backup::{self, Contents, Manifest};
use crate::config::{FilesConfig, LogConfig, StoreConfig, secret_file};
use crate::disk;
use crate::domain::{Clock, SystemClock};
use crate::store::StoreLocation;
use crate::store::sqlite::snapshot;
use crate::verify::{Repair, Report, verify};

/// Names listed of attachments that were not found.
const NAMED: usize = 10;

/// Save everything that a server on a data file has, also while it runs.
///
/// Writes one file: the data, the secret and the attachments, as they are at one moment. The file is checked, and then gets its name. It
/// has the messages of all people and the secret that signs their tokens: keep it as safe as the data file. `deskline restore` unpacks
/// it. Needs free space for a second copy of the data file while it runs.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// File to write, e.g. `/backups/deskline-2026-11-27.tar`. It must not exist.
    #[arg(value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    files: FilesConfig,
    #[command(flatten)]
    log: LogConfig,
}

impl Backup {
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        self.store.complete();
        logging::start(&self.log)?;
        let location = self.store.location();
        let StoreLocation::Sqlite(data) = &location else {
            bail!(
                "MongoDB is saved with its own tools\nhint: see \"Saving and restoring MongoDB\" in docs/OPERATING.md"
            );
        };
        super::user::must_exist(&location)?;
        if self.to.exists() {
            bail!("{} exists\nhint: choose another name; a backup is never overwritten", self.to.display());
        }
        let unfinished = Unfinished::beside(&self.to)?;
        let (from, copy, now) = (data.clone(), unfinished.folder.join("data.db"), SystemClock.now());
        let target = copy.clone();
        let copied = tokio::task::spawn_blocking(move || snapshot(&from, &target)).await?;
        let copied = copied.with_context(|| format!("copying {}", data.display()))?;
        let report = check_copy(&copy).await?;
        let folder = self.files.folder(Some(data));
        if !copied.files.is_empty() && !folder.exists() {
            bail!(
                "the folder of the attachments, {}, does not exist\nhint: pass the server's --files; if it is lost, create an empty folder",
                folder.display()
            );
        }
        let contents = Contents {
            data: copy,
            schema: copied.schema,
            taken_at: now.to_string(),
            secret: Some(secret_file(data)).filter(|secret| secret.exists()),
            folder,
            files: copied.files,
        };
        let archive = unfinished.archive.clone();
        let written = tokio::task::spawn_blocking(move || {
            backup::write(&archive, &contents)?;
            backup::check(&archive)
        });
        let manifest = written.await?.context("writing the backup")?;
        unfinished.finish(&self.to)?;
        self.tell(&manifest, &report)
    }

    fn tell(&self, manifest: &Manifest, report: &Report) -> anyhow::Result<()> {
        let bytes: u64 = manifest.members.iter().map(|member| member.size).sum();
        say(format_args!(
            "Saved {} conversations, {} entries and {} attachments to {} ({bytes} bytes).",
            report.conversations,
            report.entries,
            manifest.files(),
            self.to.display()
        ))?;
        if report.found > 0 {
            say(
                "The data differs from the logs in places; the copy has the same differences. `deskline verify` lists them.",
            )?;
        }
        if !manifest.has_secret() {
            say(
                "The secret is not in it, because it is not stored beside the data file. Keep your --jwt-secret as well.",
            )?;
        }
        let missing = &manifest.missing;
        if !missing.is_empty() {
            let names = missing.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let folder = self.files.folder(self.store.location().file());
            say(format_args!(
                "NOT saved, because they are not in {}: {} attachments ({names}).",
                folder.display(),
                missing.len()
            ))?;
        }
        Ok(())
    }
}

/// Recomputes what follows from the logs in a copy of a data file.
pub(super) async fn check_copy(data: &Path) -> anyhow::Result<Report> {
    let store = StoreLocation::Sqlite(data.to_owned()).open().await.context("opening the copy")?;
    let maintenance = store.maintenance()?;
    let report = verify(&*store.stores().conversations, &*maintenance, Repair::No, |_| (), |_| ()).await;
    store.close().await;
    report.context("checking the copy")
}

/// What is written before a backup is complete. Removed on drop.
struct Unfinished {
    /// For the copy of the data file.
    folder: PathBuf,
    archive: PathBuf,
}

impl Unfinished {
    /// Beside the backup, so that it can be renamed. Removes what an interrupted run has left.
    fn beside(to: &Path) -> anyhow::Result<Self> {
        let unfinished = Self { folder: disk::beside(to, ".copy"), archive: disk::beside(to, ".part") };
        unfinished.remove();
        let made = disk::private_folder(&unfinished.folder);
        made.with_context(|| format!("creating a folder beside {}", to.display()))?;
        Ok(unfinished)
    }

    /// Gives the backup its name, durably.
    fn finish(&self, to: &Path) -> anyhow::Result<()> {
        let named = disk::put_in_place(&self.archive, to).and_then(|()| disk::sync_folder_of(to));
        named.with_context(|| format!("naming {}", to.display()))
    }

    fn remove(&self) {
        drop(fs::remove_dir_all(&self.folder));
        drop(fs::remove_file(&self.archive));
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.remove();
    }
}
