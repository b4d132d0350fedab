//! Where users and logs are kept.

use std::path::PathBuf;

use clap::Args;

/// Where users and logs are kept.
#[derive(Debug, Clone, Args)]
pub struct StoreConfig {
    /// The data file of the embedded store [default: deskline.db, with --demo deskline-demo.db].
    #[arg(long, env = "DESKLINE_DATA", value_name = "FILE")]
    pub data: Option<PathBuf>,
}

impl StoreConfig {
    pub(super) fn complete(&mut self, demo: bool) {
        let default = if demo { "deskline-demo.db" } else { "deskline.db" };
        self.data.get_or_insert_with(|| default.into());
    }

    /// The data file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| "deskline.db".into())
    }
}
