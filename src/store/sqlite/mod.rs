//! The embedded store: one SQLite file in WAL mode with `synchronous = FULL`.
//!
//! One thread writes ([`writer`]): all waiting jobs share one commit, and so one sync. Reads run on a small pool of
//! read-only connections ([`readers`]) and never wait for a write. Another connection copies the write-ahead log into
//! the file ([`checkpoint`]), so that commits do not have to.
//!
//! Reading order: [`schema`], [`writer`], [`append`], [`rows`], then the parts of the port.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{Maintenance, StoreError, Stores};

mod append;
mod bans;
mod checkpoint;
mod codes;
mod conversations;
mod cursors;
mod desk_ids;
mod extras;
mod google_ids;
mod lock;
mod maintenance;
mod readers;
mod revisions;
mod rows;
mod schema;
mod sessions;
mod since;
mod snapshot;
#[cfg(test)]
mod tests;
mod users;
mod writer;

pub use lock::{DataFileLock, DataFileLocked};
pub use snapshot::{SCHEMA, Snapshot, snapshot};

use maintenance::SqliteMaintenance;
use readers::Readers;
use writer::Writer;

/// Users and logs in one SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the file at `path`, creates it if it does not exist, and migrates it to the current schema.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be opened or written, or is not a data file of this version or an earlier one.
    pub fn open(path: &Path) -> Result<Arc<Self>, StoreError> {
        make_private(path);
        let mut connection = connect(path)?;
        schema::migrate(&mut connection)?;
        let rest = checkpoint::start(connect(path)?, path.to_owned())?;
        Ok(Arc::new(Self {
            writer: Writer::start(connection, rest)?,
            readers: Readers::open(path)?,
            path: path.to_owned(),
        }))
    }

    /// Maintenance of the file, on a separate connection.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be opened again.
    pub fn maintenance(&self) -> Result<impl Maintenance + use<>, StoreError> {
        SqliteMaintenance::open(&self.path)
    }

    /// All parts of the port.
    #[must_use]
    pub fn stores(self: &Arc<Self>) -> Stores {
        Stores { users: self.clone(), conversations: self.clone(), bans: self.clone(), is_shared: false }
    }
}

/// Creates the data file for its owner only, unless it exists, and removes the permissions of all others that an
/// earlier version has left. SQLite's files beside it get the same permissions. Permissions of the group are left to
/// the owner.
///
/// Errors are ignored: SQLite reports them when it opens the file.
#[cfg(unix)]
fn make_private(path: &Path) {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    const OTHERS: u32 = 0o007;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let Ok(there) = std::fs::metadata(path) else { return };
    let mode = there.permissions().mode();
    if made.is_err()
        && there.is_file()
        && mode & OTHERS != 0
        && let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & !OTHERS))
    {
        tracing::warn!(%error, "Could not restrict {} to its owner", path.display());
    }
}

#[cfg(not(unix))]
fn make_private(_: &Path) {}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    finish(connection)
}

fn connect_read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    finish(connection)
}

/// Settings that all connections share.
fn finish(connection: Connection) -> Result<Connection, StoreError> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    // A plan must not depend on the values bound to it, else statements are prepared anew for each of them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            // An error without a code is not from the engine: a value was read that was not expected.
            Some(DatabaseCorrupt | NotADatabase) | None => Self::Corrupt(error.to_string()),
            Some(_) => Self::Unavailable(error.to_string()),
        }
    }
}
