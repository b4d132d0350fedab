//! `deskline import --django-dump`: imports a dump of one of the Django products.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Progress;
use super::import::{lock, open};
use super::say;
use crate::config::{FilesConfig, StoreConfig};
use crate::import::End;
use crate::import::django::{Dump, Options, Report, Source, import};
use crate::store::OpenStore;

/// Options for importing a Django dump.
#[derive(Debug, Args)]
pub(super) struct DjangoImport {
    /// Import this file, written by `manage.py dumpdata`, into the store of --data or --mongodb-uri.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to"])]
    django_dump: Option<PathBuf>,
    /// `MEDIA_ROOT` of the old server; attachments are copied from there to --files.
    #[arg(long, value_name = "FOLDER", requires = "django_dump")]
    media: Option<PathBuf>,
    /// Name of the old database; required to import several databases of the same product.
    #[arg(long, value_name = "NAME", requires = "django_dump")]
    source: Option<Source>,
    /// Merge imported people into existing accounts with the same e-mail address.
    ///
    /// Safe only if all servers have confirmed e-mail addresses by mail.
    #[arg(long, requires = "django_dump")]
    join_accounts: bool,
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    files: FilesConfig,
}

impl DjangoImport {
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        self.store.complete();
        let path = self.django_dump.context("--django-dump is required")?;
        let location = self.store.location();
        let options = Options {
            source: self.source,
            media: self.media,
            files: self.files.folder(location.file()),
            joins_accounts: self.join_accounts,
        };
        let _lock = lock(&location)?;
        let reading = Progress::of("Reading the dump", 0);
        let dump = tokio::task::spawn_blocking(move || Dump::read(&path, |done, total| reading.set(done, total)));
        let dump = dump.await.context("reading the dump")??;
        let store = open(&location).await?;
        let done = take(&dump, &store, &options).await;
        store.close().await;
        say(done?.to_string().trim_end())
    }
}

async fn take(dump: &Dump, store: &OpenStore, options: &Options) -> anyhow::Result<Report> {
    let (to, taking, total) = (End::of(store)?, Progress::of("Importing rows", 0), dump.rows());
    Ok(import(dump, &to, options, |done| taking.set(done, total)).await?)
}
