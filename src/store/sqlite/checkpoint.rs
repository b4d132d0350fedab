//! Moves the write-ahead log into the file, away from the commit path: a checkpoint there would hold up every sender.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use crate::store::StoreError;

/// How often the log's length is looked at.
const PERIOD: Duration = Duration::from_millis(500);

/// The log is moved once this many of its pages (of 4 KiB) wait for it.
const THRESHOLD: i64 = 4096;

/// Watches for as long as the data file is there.
pub(super) fn start(connection: Connection, file: PathBuf) -> Result<(), StoreError> {
    let run = move || {
        while file.exists() {
            if let Err(error) = move_if_long(&connection) {
                tracing::warn!(%error, "Could not move the write-ahead log into the data file");
            }
            thread::sleep(PERIOD);
        }
    };
    let spawned = thread::Builder::new().name("sqlite-checkpoint".into()).spawn(run);
    spawned.map(drop).map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// Moves what can be moved without waiting for anybody, if enough of it waits.
fn move_if_long(connection: &Connection) -> rusqlite::Result<()> {
    let waiting = connection
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))?;
    if waiting > THRESHOLD {
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    }
    Ok(())
}
