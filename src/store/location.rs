//! The location of a store, and opening it: the only place that knows all adapters.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::mongo::{MongoStore, Progress};
use super::sqlite::SqliteStore;
use super::{Maintenance, StoreError, Stores};

/// The database, if the MongoDB URI names none.
pub const DEFAULT_DATABASE: &str = "deskline";

/// Where a store is: `sqlite:FILE`, or a MongoDB URI.
///
/// ```
/// use deskline::store::StoreLocation;
/// assert_eq!("sqlite:deskline.db".parse::<StoreLocation>().unwrap().to_string(), "sqlite:deskline.db");
/// let mongo: StoreLocation = "mongodb://ann:secret@db.example/desk".parse().unwrap();
/// assert_eq!(mongo.to_string(), "MongoDB at db.example/desk");
/// assert!("deskline.db".parse::<StoreLocation>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// A data file of the embedded store.
    Sqlite(PathBuf),
    /// A MongoDB server.
    Mongo {
        /// Its URI, which may contain a password.
        uri: String,
        /// The database, unless the URI names one.
        database: String,
    },
}

/// The text does not name a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a store: use sqlite:FILE or mongodb://HOST/DATABASE")]
pub struct StoreLocationError;

impl FromStr for StoreLocation {
    type Err = StoreLocationError;

    fn from_str(text: &str) -> Result<Self, StoreLocationError> {
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Self::Sqlite(path.into()));
        }
        if text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") {
            return Ok(Self::Mongo { uri: text.to_owned(), database: DEFAULT_DATABASE.to_owned() });
        }
        Err(StoreLocationError)
    }
}

/// Omits the user name and the password.
impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Mongo { uri, .. } => {
                // Parsed by hand: the `url` crate rejects several hosts, as in `mongodb://a,b/desk`.
                let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
                let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
                write!(f, "MongoDB at {}", rest.split('?').next().unwrap_or_default().trim_end_matches('/'))
            }
        }
    }
}

impl fmt::Debug for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl StoreLocation {
    /// Opens the store. Messages of the replaced server are visible only after [`OpenStore::migrate`].
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened; [`StoreError::Unavailable`] if a later try may succeed.
    pub async fn open(&self) -> Result<OpenStore, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(OpenStore::Sqlite(SqliteStore::open(path)?)),
            Self::Mongo { uri, database } => Ok(OpenStore::Mongo(MongoStore::open(uri, database).await?)),
        }
    }

    /// Another database on the same server. A data file stays the same.
    #[must_use]
    pub(crate) fn in_database(self, name: &str) -> Self {
        let Self::Mongo { uri, .. } = self else { return self };
        let (address, options) = uri.split_once('?').unwrap_or((&uri, ""));
        let hosts = address.find("://").map_or(0, |scheme| scheme + 3);
        let hosts = address[hosts..].find('/').map_or(address, |path| &address[..hosts + path]);
        Self::Mongo { uri: format!("{hosts}/{name}?{options}"), database: name.to_owned() }
    }

    /// The data file, if the store has one.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Mongo { .. } => None,
        }
    }
}

/// An open store. Clones share it.
#[derive(Clone)]
pub enum OpenStore {
    /// The embedded one.
    Sqlite(Arc<SqliteStore>),
    /// MongoDB.
    Mongo(Arc<MongoStore>),
}

impl OpenStore {
    /// All parts of the port.
    #[must_use]
    pub fn stores(&self) -> Stores {
        match self {
            Self::Sqlite(store) => store.stores(),
            Self::Mongo(store) => store.stores(),
        }
    }

    /// The maintenance port of the store.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened.
    pub fn maintenance(&self) -> Result<Arc<dyn Maintenance>, StoreError> {
        match self {
            Self::Sqlite(store) => Ok(Arc::new(store.maintenance()?)),
            Self::Mongo(store) => Ok(store.clone()),
        }
    }

    /// Imports messages that the replaced server wrote to the database; see [`MongoStore::migrate`]. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails; messages that were imported by then stay.
    pub async fn migrate(&self, progress: Progress<'_>) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(0),
            Self::Mongo(store) => store.migrate(progress).await,
        }
    }

    /// Drops the database. Does nothing to a data file, which is removed with its folder.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be dropped.
    pub(crate) async fn erase(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Mongo(store) => {
                store.close().await;
                store.erase().await
            }
        }
    }

    /// Finishes the background work that has begun, and stops it.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(_) => {}
            Self::Mongo(store) => store.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_the_same_server_keeps_its_hosts_and_options() {
        let other = |uri: &str| match uri.parse::<StoreLocation>().unwrap().in_database("scratch") {
            StoreLocation::Mongo { uri, .. } => uri,
            StoreLocation::Sqlite(_) => panic!("not a URI: {uri}"),
        };
        assert_eq!(other("mongodb://a:b@one,two:1/desk?w=1"), "mongodb://a:b@one,two:1/scratch?w=1");
        assert_eq!(other("mongodb://one"), "mongodb://one/scratch?");
        assert_eq!(other("mongodb+srv://one/?tls=true"), "mongodb+srv://one/scratch?tls=true");
    }
}
