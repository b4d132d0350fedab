//! `deskline import`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Progress;
use super::import_django::DjangoImport;
use super::{logging, say};
use crate::config::LogConfig;
use crate::import::{End, Folders, Moved, compare, count_entries, import};
use crate::store::sqlite::DataFileLock;
use crate::store::{OpenStore, StoreLocation};

/// Copy one store into another, or import a Django dump.
///
/// A store is `sqlite:FILE` or `mongodb://HOST/DATABASE`; both are compared at the end. A dump is what `manage.py dumpdata` wrote on the
/// storefront or the portal. No server may run on the stores. The command can be repeated: existing records are left as they are.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// Store to copy from.
    #[arg(long, value_name = "STORE", requires = "to", required_unless_present = "django_dump")]
    from: Option<StoreLocation>,
    /// Store to copy to.
    #[arg(long, value_name = "STORE", requires = "from")]
    to: Option<StoreLocation>,
    /// Folder with attachments to copy; requires --to-files.
    #[arg(long, value_name = "FOLDER", requires_all = ["from", "to_files"])]
    from_files: Option<PathBuf>,
    /// Folder to copy attachments to.
    #[arg(long, value_name = "FOLDER", requires_all = ["from", "from_files"])]
    to_files: Option<PathBuf>,
    #[command(flatten)]
    django: DjangoImport,
    #[command(flatten)]
    log: LogConfig,
}

impl Import {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        logging::start(&self.log)?;
        let (Some(from), Some(to)) = (self.from, self.to) else { return self.django.run().await };
        let _locks = [lock(&from)?, lock(&to)?];
        let (from, to) = (open(&from).await?, open(&to).await?);
        let folders = self.from_files.zip(self.to_files).map(|(from, to)| Folders { from, to });
        let done = run(&from, &to, folders.as_ref()).await;
        to.close().await;
        from.close().await;
        done
    }
}

async fn run(from: &OpenStore, to: &OpenStore, folders: Option<&Folders>) -> anyhow::Result<()> {
    let (from, to) = (End::of(from)?, End::of(to)?);
    let total = count_entries(&from).await.context("counting entries")?;
    let moving = Progress::of("Copying entries", 0);
    let moved = import(&from, &to, folders, |done| moving.set(done, total)).await.context("copying")?;
    drop(moving);
    say(format_args!(
        "Copied {} accounts, {} profiles and {} entries; the target has {} conversations.",
        moved.users, moved.profiles, moved.entries, moved.conversations
    ))?;
    tell_of_files(&moved, folders)?;
    let comparing = Progress::of("Comparing entries", 0);
    let compared = compare(&from, &to, |done| comparing.set(done, total)).await.context("comparing")?;
    drop(comparing);
    say(format_args!("Both stores are equal: {compared} entries compared."))
}

fn tell_of_files(moved: &Moved, folders: Option<&Folders>) -> anyhow::Result<()> {
    if moved.attachments == 0 {
        return Ok(());
    }
    match folders {
        Some(_) => say(format_args!(
            "{} attachments: {} files copied, {} not found.",
            moved.attachments, moved.files, moved.files_missing
        )),
        None => say(format_args!(
            "NOT copied: the files of {} attachments. Copy the folder of --files (by default <data>.files) to the other server, \
             or run this command again with --from-files and --to-files.",
            moved.attachments
        )),
    }
}

pub(super) fn lock(location: &StoreLocation) -> anyhow::Result<Option<DataFileLock>> {
    Ok(location.file().map(|path| DataFileLock::take(path)).transpose()?)
}

pub(super) async fn open(location: &StoreLocation) -> anyhow::Result<OpenStore> {
    let store = location.open().await.with_context(|| format!("opening the store, {location}"))?;
    let progress = Progress::of("Importing messages of the old server", 0);
    store.migrate(&|done, total| progress.set(done, total)).await?;
    Ok(store)
}
