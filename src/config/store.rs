//! Where users and logs are kept.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigError, alias};
use crate::auth::Secret;
use crate::store::{DEFAULT_DATABASE, StoreLocation};

/// The data file of the demo, unless another is named.
pub const DEMO_DATA: &str = "deskline-demo.db";

/// Where users and logs are kept: in a data file, unless MongoDB is named.
#[derive(Debug, Clone, Args)]
pub struct StoreConfig {
    /// The data file of the embedded store [default: deskline.db, with --demo deskline-demo.db].
    #[arg(long, global = true, env = "DESKLINE_DATA", value_name = "FILE", conflicts_with = "mongodb_uri")]
    pub data: Option<PathBuf>,
    /// Keeps everything in this MongoDB instead, e.g. `mongodb://127.0.0.1:27017/adrsmyapp`; understood as `MONGODB_URI`, too.
    #[arg(long, global = true, env = "DESKLINE_MONGODB_URI", hide_env_values = true, value_name = "URI")]
    pub mongodb_uri: Option<Secret>,
    /// The MongoDB database, if the URI names none.
    #[arg(long, global = true, env = "DESKLINE_MONGODB_DATABASE", default_value = DEFAULT_DATABASE, value_name = "NAME")]
    pub mongodb_database: String,
}

impl StoreConfig {
    /// Fills in what the replaced server's name says, where Deskline's own say nothing.
    pub(crate) fn complete(&mut self) {
        if self.data.is_none() && self.mongodb_uri.is_none() {
            self.mongodb_uri = alias("MONGODB_URI").map(Secret::from);
        }
    }

    /// The demo accounts live in a data file of their own, and in no database that may be somebody's.
    pub(super) fn complete_for_demo(&mut self) -> Result<(), ConfigError> {
        if self.mongodb_uri.is_some() {
            return Err(ConfigError::DemoOnMongo);
        }
        self.data.get_or_insert_with(|| DEMO_DATA.into());
        Ok(())
    }

    /// Where that is.
    #[must_use]
    pub fn location(&self) -> StoreLocation {
        match &self.mongodb_uri {
            Some(uri) => StoreLocation::Mongo { uri: uri.expose().to_owned(), database: self.mongodb_database.clone() },
            None => StoreLocation::Sqlite(self.data.clone().unwrap_or_else(|| "deskline.db".into())),
        }
    }
}
