//! The file's schema, as a list of embedded steps. `PRAGMA user_version` counts the steps taken.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;

pub(super) const STEPS: [&str; 13] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
    include_str!("schema_9.sql"),
    include_str!("schema_10.sql"),
    include_str!("schema_11.sql"),
    include_str!("schema_12.sql"),
    include_str!("schema_13.sql"),
];

/// Takes the steps that are missing, all in one transaction, so that a failed one leaves the file as it was.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // A process that only reads the file of a busy server must not wait for the write lock.
    if steps_taken(connection)? == STEPS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let taken = steps_taken(&transaction)?;
    if taken > STEPS.len() {
        return Err(StoreError::Corrupt(format!(
            "the file has schema {taken}, this program knows only {}: it was written by a newer version",
            STEPS.len()
        )));
    }
    for step in &STEPS[taken..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len())?;
    Ok(transaction.commit()?)
}

pub(super) fn steps_taken(connection: &Connection) -> Result<usize, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}
