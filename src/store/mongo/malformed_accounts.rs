//! Malformed accounts: each is logged once, by its id.

use std::collections::HashSet;
use std::sync::LazyLock;

use bson::Bson;
use parking_lot::Mutex;

use crate::domain::UserId;

/// Accounts that are remembered as told. Should there be more, all are told again.
const REMEMBERED: usize = 10_000;

/// Ids of accounts, as text: what is no account's id may be anything.
static TOLD: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Some fields of an account could not be read.
pub(super) fn note(id: UserId, fields: &[&str]) {
    if !fields.is_empty() && is_news(id.to_string()) {
        tracing::warn!(user.id = %id, ?fields, "Account {id} has malformed fields and gets the least rights that they allow");
    }
}

/// A document is no account.
pub(super) fn note_unreadable(id: &Bson, why: &str) {
    if is_news(id.to_string()) {
        tracing::warn!(%id, why, "Skipped a document in `users` that is not an account");
    }
}

fn is_news(id: String) -> bool {
    let mut told = TOLD.lock();
    if told.len() >= REMEMBERED {
        told.clear();
    }
    told.insert(id)
}
