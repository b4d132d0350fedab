//! Logs a failure once when it begins and once when it ends, however often the work is retried.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::StoreError;

/// One thing that depends on the store.
pub(super) struct FailureLog {
    /// As in "could not ...".
    what: &'static str,
    is_on: AtomicBool,
}

impl FailureLog {
    pub(super) const fn new(what: &'static str) -> Self {
        Self { what, is_on: AtomicBool::new(false) }
    }

    /// Notes the outcome of an attempt. True if it succeeded.
    pub(super) fn note(&self, outcome: &Result<(), StoreError>) -> bool {
        let was_on = self.is_on.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Ok(()) if was_on => tracing::info!("Can {} again", self.what),
            Err(error) if !was_on => {
                tracing::warn!(%error, "Could not {}; retrying, further failures are not logged", self.what);
            }
            Ok(()) | Err(_) => {}
        }
        outcome.is_ok()
    }
}
