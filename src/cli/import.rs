//! `deskline import`

use anyhow::Context;
use clap::Args;

use super::progress::Progress;
use super::{logging, say};
use crate::config::LogConfig;
use crate::import::{End, compare, import};
use crate::store::sqlite::DataFileLock;
use crate::store::{OpenStore, StoreLocation};

/// Moves everything from one store into another: `sqlite:FILE` or `mongodb://HOST/DATABASE`. No server may run on either.
/// It can be run again; what is there already stays.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// Where everything is.
    #[arg(long, value_name = "STORE")]
    from: StoreLocation,
    /// Where it is to be.
    #[arg(long, value_name = "STORE")]
    to: StoreLocation,
    #[command(flatten)]
    log: LogConfig,
}

impl Import {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        logging::start(&self.log)?;
        let _locks = [lock(&self.from)?, lock(&self.to)?];
        let (from, to) = (open(&self.from).await?, open(&self.to).await?);
        let done = run(&from, &to).await;
        to.close().await;
        from.close().await;
        done
    }
}

async fn run(from: &OpenStore, to: &OpenStore) -> anyhow::Result<()> {
    let (from, to) = (End::of(from)?, End::of(to)?);
    let moving = Progress::of("Moving entries");
    let moved = import(&from, &to, |done| moving.set(done, done)).await.context("moving")?;
    drop(moving);
    say(format_args!(
        "Moved {} accounts and {} entries; {} conversations are there.",
        moved.users, moved.entries, moved.conversations
    ))?;
    let comparing = Progress::of("Comparing entries");
    let compared = compare(&from, &to, |done| comparing.set(done, done)).await.context("comparing")?;
    drop(comparing);
    say(format_args!("Both stores hold the same: {compared} entries compared."))
}

fn lock(location: &StoreLocation) -> anyhow::Result<Option<DataFileLock>> {
    Ok(location.file().map(|path| DataFileLock::take(path)).transpose()?)
}

async fn open(location: &StoreLocation) -> anyhow::Result<OpenStore> {
    let store = location.open().await.with_context(|| format!("opening the store, {location}"))?;
    let progress = Progress::of("Taking in old messages");
    store.migrate(&|done, total| progress.set(done, total)).await?;
    Ok(store)
}
