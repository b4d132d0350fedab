//! A temporary store.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Account, ServerOptions};
use crate::domain::Role;
use crate::store::{OpenStore, StoreLocation};

/// A temporary store, and its folder. The folder is removed on drop, a database by [`Scratch::remove`].
pub(crate) struct Scratch {
    folder: PathBuf,
    location: StoreLocation,
}

impl Scratch {
    /// Creates a store with these accounts.
    ///
    /// A data file is created elsewhere and then copied: an open store runs background work on its file, which would interfere
    /// with the server.
    pub(crate) async fn make(
        options: &ServerOptions,
        people: &[(String, Role)],
    ) -> anyhow::Result<(Self, Vec<Account>)> {
        let name = format!("deskline_scratch_{}_{:08x}", std::process::id(), rand::random::<u32>());
        let folder = options.scratch.clone().unwrap_or_else(std::env::temp_dir).join(&name);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let location = match &options.mongodb_uri {
            None => StoreLocation::Sqlite(folder.join("deskline.db")),
            Some(uri) => uri.expose().parse::<StoreLocation>().context("--mongodb-uri")?.in_database(&name),
        };
        let scratch = Self { folder, location };
        let accounts = scratch.seed(people).await?;
        Ok((scratch, accounts))
    }

    async fn seed(&self, people: &[(String, Role)]) -> anyhow::Result<Vec<Account>> {
        let Some(data) = self.location.file() else {
            let store = self.open().await?;
            let accounts = Account::make(&*store.stores().users, people).await;
            store.close().await;
            return accounts;
        };
        let seeds = self.folder.join("seeds");
        std::fs::create_dir(&seeds)?;
        let file = seeds.join("seeds.db");
        let accounts = {
            let store = StoreLocation::Sqlite(file.clone()).open().await?;
            Account::make(&*store.stores().users, people).await?
        };
        copy(&file, data)?;
        std::fs::remove_dir_all(&seeds)?;
        Ok(accounts)
    }

    /// The flags of a server that uses this store.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let files = ["--files".into(), self.folder.join("files").into()];
        let store = match &self.location {
            StoreLocation::Sqlite(file) => ["--data".into(), file.into()],
            StoreLocation::Mongo { uri, .. } => ["--mongodb-uri".into(), uri.into()],
        };
        store.into_iter().chain(files).collect()
    }

    /// Opens the store in this process. No server may be using it.
    pub(crate) async fn open(&self) -> anyhow::Result<OpenStore> {
        let store = self.location.open().await.with_context(|| format!("opening {}", self.location))?;
        store.migrate(&|_, _| ()).await?;
        Ok(store)
    }

    /// Removes the database, if it is one. Files are removed on drop.
    pub(crate) async fn remove(self) -> anyhow::Result<()> {
        if self.location.file().is_none() {
            self.open().await?.erase().await.context("removing the scratch database")?;
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Files that cannot be removed stay in the temporary folder.
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let seeds = rusqlite::Connection::open(from).context("opening the seeds")?;
    seeds.execute("VACUUM INTO ?1", [to.to_string_lossy()]).context("copying the seeds")?;
    Ok(())
}
