//! `deskline verify`

use anyhow::{Context, bail};
use clap::Args;

use super::{logging, say};
use crate::config::{LogConfig, StoreConfig};
use crate::rig::Bar;
use crate::verify::{Repair, verify};

/// Recomputes everything that follows from the logs, and says where what is kept differs. Fails if something is left wrong.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Puts right what differs. With MongoDB, stop the servers first.
    #[arg(long)]
    fix: bool,
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    log: LogConfig,
}

impl Verify {
    #[cfg(test)]
    pub(super) fn data(&self) -> Option<std::path::PathBuf> {
        self.store.data.clone()
    }

    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        self.store.complete();
        logging::start(&self.log)?;
        let location = self.store.location();
        let store = location.open().await.with_context(|| format!("opening the store, {location}"))?;
        let repair = if self.fix { Repair::WhatFollows } else { Repair::No };
        let progress = Bar::of("Conversations", 0);
        let mut said = Ok(());
        let tell = |finding: &_| {
            if said.is_ok() {
                said = say(finding);
            }
        };
        let done = |report: &crate::verify::Report| progress.set(report.conversations, report.conversations);
        let upkeep = store.upkeep()?;
        let report = verify(&*store.stores().conversations, &*upkeep, repair, tell, done).await;
        drop(progress);
        store.close().await;
        said?;
        let report = report?;
        say(format_args!(
            "{} conversations, {} entries: {} differences, {} conversations put right.",
            report.conversations, report.entries, report.found, report.repaired
        ))?;
        if report.left > 0 {
            let hint = if self.fix { "" } else { "\nhint: --fix puts right what follows from the logs" };
            bail!("{} conversations are wrong{hint}", report.left);
        }
        Ok(())
    }
}
