//! Persists cursors and receipts that have moved, together.

use std::time::Duration;

use super::Delivery;
use crate::store::{MovedCursors, Receipt};

/// How often arrivals are collected, and what has moved is persisted.
const PERIOD: Duration = Duration::from_millis(500);

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

impl Delivery {
    pub(super) async fn keep_persisting(self) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            tick.tick().await;
            if !self.persist(self.0.receipts.unwritten()).await {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Persists everything at once. To be called when all connections are closed.
    pub async fn flush(&self) {
        self.persist(self.0.receipts.all_unwritten()).await;
    }

    /// Moves the cursors by what has arrived, and persists them with these receipts. False if the store failed; all of them are
    /// persisted the next time.
    async fn persist(&self, receipts: Vec<Receipt>) -> bool {
        for (user, conversation, up_to) in self.0.presence.take_arrived() {
            self.0.cursors.advance(user, conversation, up_to);
        }
        let moved = MovedCursors { delivered: self.0.cursors.unwritten(), receipts };
        if moved.is_empty() {
            return true;
        }
        let is_written = self.0.persist_failures.note(&self.0.store.advance_cursors(moved.clone()).await);
        if is_written {
            self.0.cursors.written(&moved.delivered);
            self.0.receipts.written(&moved.receipts);
        }
        let (cursors, receipts) = (moved.delivered.len(), moved.receipts.len());
        tracing::debug!(cursors, receipts, is_written, "Persisted cursors and receipts");
        is_written
    }
}
