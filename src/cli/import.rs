//! `deskline import`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::import_django::DjangoImport;
use super::{logging, say};
use crate::config::LogConfig;
use crate::import::{End, Folders, Moved, compare, count_entries, import};
use crate::rig::Bar;
use crate::store::sqlite::DataFileLock;
use crate::store::{OpenStore, StoreLocation};

/// Moves everything from one store into another: `sqlite:FILE` or `mongodb://HOST/DATABASE`; or takes in what Django's
/// `dumpdata` wrote of the shop or the portal. No server may run meanwhile. It can be run again; what is there already stays.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// Where everything is.
    #[arg(long, value_name = "STORE", requires = "to", required_unless_present = "django_dump")]
    from: Option<StoreLocation>,
    /// Where it is to be.
    #[arg(long, value_name = "STORE", requires = "from")]
    to: Option<StoreLocation>,
    /// The folder with the attachments of the one; they are copied if both folders are named.
    #[arg(long, value_name = "FOLDER", requires_all = ["from", "to_files"])]
    from_files: Option<PathBuf>,
    /// The folder for the attachments of the other.
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
    let total = count_entries(&from).await.context("counting")?;
    let moving = Bar::of("Moving entries", 0);
    let moved = import(&from, &to, folders, |done| moving.set(done, total)).await.context("moving")?;
    drop(moving);
    say(format_args!(
        "Moved {} accounts, {} profiles, {} entries; {} conversations are there.",
        moved.users, moved.profiles, moved.entries, moved.conversations
    ))?;
    tell_of_files(&moved, folders)?;
    let comparing = Bar::of("Comparing entries", 0);
    let compared = compare(&from, &to, |done| comparing.set(done, total)).await.context("comparing")?;
    drop(comparing);
    say(format_args!("Both stores hold the same: {compared} entries compared."))
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
            "NOT moved: the files of {} attachments. Copy the folder of --files (else the one beside the data file, \
             <data>.files) to that of the other server, or run this again with --from-files and --to-files.",
            moved.attachments
        )),
    }
}

pub(super) fn lock(location: &StoreLocation) -> anyhow::Result<Option<DataFileLock>> {
    Ok(location.file().map(|path| DataFileLock::take(path)).transpose()?)
}

pub(super) async fn open(location: &StoreLocation) -> anyhow::Result<OpenStore> {
    let store = location.open().await.with_context(|| format!("opening the store, {location}"))?;
    let progress = Bar::of("Taking in old messages", 0);
    store.migrate(&|done, total| progress.set(done, total)).await?;
    Ok(store)
}
