//! Checkpoints the write-ahead log away from the commit path, where a whole checkpoint would delay every sender.
//!
//! A thread of its own copies most of it into the database. The writer continues meanwhile, so the log is never quite empty; the
//! writer itself copies the last pages between two batches, after which the log can restart. Without that last step the log would
//! grow for as long as somebody writes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use crate::store::StoreError;
use crate::supervise::essential_thread;

/// How often the length of the log is checked.
const PERIOD: Duration = Duration::from_millis(200);

/// The log is checkpointed once it has this many pages (of 4 KiB) that are not in the database yet.
const THRESHOLD: i64 = 8192;

/// Set when only the last pages are left to copy.
#[derive(Clone, Default)]
pub(super) struct RestIsDue(Arc<AtomicBool>);

impl RestIsDue {
    /// Called by the writer between two batches.
    pub(super) fn move_rest(&self, connection: &Connection) {
        if self.0.swap(false, Ordering::Relaxed) {
            warn_if_failed(passive(connection));
        }
    }
}

/// Runs for as long as the data file exists.
pub(super) fn start(connection: Connection, file: PathBuf) -> Result<RestIsDue, StoreError> {
    let rest = RestIsDue::default();
    let due = rest.clone();
    let run = move || {
        essential_thread("checkpoint thread", || {
            while file.exists() {
                warn_if_failed(move_if_long(&connection, &due));
                thread::sleep(PERIOD);
            }
        });
    };
    let spawned = thread::Builder::new().name("sqlite-checkpoint".into()).spawn(run);
    spawned.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(rest)
}

fn move_if_long(connection: &Connection, due: &RestIsDue) -> rusqlite::Result<()> {
    let waiting = connection
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))?;
    if waiting > THRESHOLD {
        passive(connection)?;
        due.0.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Copies the pages that can be copied without waiting for readers or the writer.
fn passive(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

fn warn_if_failed(moved: rusqlite::Result<()>) {
    if let Err(error) = moved {
        tracing::warn!(%error, "Could not checkpoint the write-ahead log");
    }
}
