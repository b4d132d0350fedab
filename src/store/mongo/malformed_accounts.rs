//! Malformed accounts: each is logged once, by its id.

use std::collections::HashSet;
use std::sync::LazyLock;

use bson::Bson;
use parking_lot::Mutex;

use crate::domain::UserId;

/// How many accounts are remembered as logged. If there are more, all are logged again.
const REMEMBERED: usize = 10_000;

/// Ids of accounts, as text: a document that is not an account may have an id of any type.
static LOGGED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Logs an account with malformed fields.
pub(super) fn note(id: UserId, fields: &[&str]) {
    if !fields.is_empty() && is_first(id.to_string()) {
        tracing::warn!(user.id = %id, ?fields, "Account {id} has malformed fields and gets the least rights that they allow");
    }
}

/// Logs a document that is not an account.
pub(super) fn note_unreadable(id: &Bson, why: &str) {
    if is_first(id.to_string()) {
        tracing::warn!(%id, why, "Skipped a document in `users` that is not an account");
    }
}

/// Whether this id was not logged before.
fn is_first(id: String) -> bool {
    let mut logged = LOGGED.lock();
    if logged.len() >= REMEMBERED {
        logged.clear();
    }
    logged.insert(id)
}
