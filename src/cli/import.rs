//! `deskline import`

use anyhow::Context;
use clap::Args;

use super::import_django::DjangoImport;
use super::progress::Progress;
use super::{logging, say};
use crate::config::LogConfig;
use crate::import::{End, compare, import};
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

pub(super) fn lock(location: &StoreLocation) -> anyhow::Result<Option<DataFileLock>> {
    Ok(location.file().map(|path| DataFileLock::take(path)).transpose()?)
}

pub(super) async fn open(location: &StoreLocation) -> anyhow::Result<OpenStore> {
    let store = location.open().await.with_context(|| format!("opening the store, {location}"))?;
    let progress = Progress::of("Taking in old messages");
    store.migrate(&|done, total| progress.set(done, total)).await?;
    Ok(store)
}
