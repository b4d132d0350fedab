//! Store settings: a data file or MongoDB.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigError, alias};
use crate::auth::Secret;
use crate::store::{DEFAULT_DATABASE, StoreLocation};

/// Default data file of `--demo`.
pub const DEMO_DATA: &str = "deskline-demo.db";

/// Where accounts and conversations are stored: in a data file, unless MongoDB is chosen.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreConfig {
    /// Data file of the embedded store [default: `deskline.db`, with `--demo` `deskline-demo.db`].
    #[arg(long, global = true, env = "DESKLINE_DATA", value_name = "FILE", conflicts_with = "mongodb_uri")]
    pub data: Option<PathBuf>,
    /// Store everything in this MongoDB instead, e.g. `mongodb://127.0.0.1:27017/deskline` [default: `$MONGODB_URI`].
    #[arg(long, global = true, env = "DESKLINE_MONGODB_URI", hide_env_values = true, value_name = "URI")]
    pub mongodb_uri: Option<Secret>,
    /// MongoDB database, if the URI does not name one.
    #[arg(long, global = true, env = "DESKLINE_MONGODB_DATABASE", default_value = DEFAULT_DATABASE, value_name = "NAME")]
    pub mongodb_database: String,
}

impl StoreConfig {
    /// Applies the alias `MONGODB_URI`, unless a store is set.
    pub(crate) fn complete(&mut self) {
        if self.data.is_none() && self.mongodb_uri.is_none() {
            self.mongodb_uri = alias("MONGODB_URI").map(Secret::from);
        }
    }

    /// Chooses the demo's data file. MongoDB is refused, since it may hold real accounts.
    pub(super) fn complete_for_demo(&mut self) -> Result<(), ConfigError> {
        if self.mongodb_uri.is_some() {
            return Err(ConfigError::DemoOnMongo);
        }
        self.data.get_or_insert_with(|| DEMO_DATA.into());
        Ok(())
    }

    /// The location of the store.
    #[must_use]
    pub fn location(&self) -> StoreLocation {
        match &self.mongodb_uri {
            Some(uri) => StoreLocation::Mongo { uri: uri.expose().to_owned(), database: self.mongodb_database.clone() },
            None => StoreLocation::Sqlite(self.data.clone().unwrap_or_else(|| "deskline.db".into())),
        }
    }
}
