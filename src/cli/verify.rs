//! `deskline verify`

use anyhow::{Context, bail};
use clap::Args;

use super::Progress;
use super::{logging, say};
use crate::config::{LogConfig, StoreConfig};
use crate::verify::{Repair, verify};

/// Check stored data against the logs of the conversations.
///
/// Recomputes status, last message, read marks and unread counts of each conversation, and reports gaps in its log. Fails if a
/// difference remains.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Repair differences. With MongoDB, stop all servers first.
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
        let progress = Progress::of("Conversations", 0);
        let mut said = Ok(());
        let mut tell = |finding: &dyn std::fmt::Display| {
            if said.is_ok() {
                said = say(finding);
            }
        };
        let done = |report: &crate::verify::Report| progress.set(report.conversations, report.conversations);
        let maintenance = store.maintenance()?;
        let mut odd = 0_u64;
        let listed = maintenance
            .malformed_records(&mut |record| {
                odd += 1;
                tell(&record);
            })
            .await;
        let report = verify(&*store.stores().conversations, &*maintenance, repair, |finding| tell(finding), done).await;
        drop(progress);
        store.close().await;
        said?;
        listed?;
        let report = report?;
        say(format_args!(
            "{} conversations, {} entries: {} differences, {} conversations repaired.",
            report.conversations, report.entries, report.found, report.repaired
        ))?;
        if odd > 0 {
            say(format_args!(
                "{odd} malformed records: read as far as possible, or skipped; other records are not affected."
            ))?;
        }
        if report.left > 0 {
            let hint = if self.fix { "" } else { "\nhint: --fix repairs what can be recomputed from the logs" };
            bail!("{} conversations still differ from their logs{hint}", report.left);
        }
        Ok(())
    }
}
