//! A consistent copy of a data file, which a server may be using.

use std::path::Path;

use super::schema::{STEPS, steps_taken};
use super::{connect_read_only, make_private};
use crate::store::StoreError;

/// What a copy of a data file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The schema of the file.
    pub schema: usize,
    /// The names of the attachments that its messages refer to.
    pub files: Vec<String>,
}

/// The schema of this program.
pub const SCHEMA: usize = STEPS.len();

/// Copies a data file as it is at one moment to `to`, which must not exist, and checks the copy. Writers are not delayed, but the
/// write-ahead log cannot restart meanwhile.
///
/// Blocks the thread.
///
/// # Errors
/// [`StoreError`] if the file cannot be read, has another schema than this program's, or is damaged, or the copy cannot be written.
pub fn snapshot(from: &Path, to: &Path) -> Result<Snapshot, StoreError> {
    let connection = connect_read_only(from)?;
    let schema = steps_taken(&connection)?;
    if schema != SCHEMA {
        return Err(StoreError::Refused(format!(
            "the data file has schema {schema}, and this program {SCHEMA}\nhint: back it up with the version that serves it"
        )));
    }
    make_private(to);
    let target = to.to_str().ok_or_else(|| StoreError::Refused("the path is not UTF-8".into()))?;
    connection.execute("VACUUM INTO ?1", [target])?;
    drop(connection);
    let copy = connect_read_only(to)?;
    let found: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(StoreError::Corrupt(found));
    }
    let mut select = copy.prepare("SELECT DISTINCT file FROM extras WHERE file IS NOT NULL ORDER BY file")?;
    let files = select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Snapshot { schema, files })
}
