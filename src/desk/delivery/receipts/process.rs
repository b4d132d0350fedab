//! Processes receipts that have changed: compares them with the store, looks up whether a message was left out, and announces them.

use std::time::Duration;

use super::Key;
use crate::desk::delivery::Delivery;
use crate::domain::Seq;
use crate::store::StoreError;

/// How often changed receipts are processed.
const PERIOD: Duration = Duration::from_millis(50);

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Entries read at a time, to find out whether a message lies between.
const PAGE: usize = 200;

impl Delivery {
    pub(in crate::desk::delivery) async fn keep_processing_receipts(self) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            tick.tick().await;
            if self.process_due().await {
                self.0.receipts.end_processing();
            } else {
                self.0.receipts.put_back_due();
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// False if the store failed.
    async fn process_due(&self) -> bool {
        for key in self.0.receipts.take_due() {
            let processed = self.process(key).await;
            if let Err(StoreError::Corrupt(what)) = &processed {
                // A retry cannot read it either, and would delay the receipts of other conversations.
                tracing::error!("Could not update the receipts of a conversation: {what}");
            } else if !self.0.receipts.failures.note(&processed) {
                return false;
            }
        }
        true
    }

    /// Processes one receipt.
    async fn process(&self, key: Key) -> Result<(), StoreError> {
        let receipts = &self.0.receipts;
        let Some(track) = receipts.track(key) else { return Ok(()) };
        let (id, side) = key;
        if !track.is_loaded {
            let conversations = &self.0.store;
            let receipt = conversations.receipts(id).await?[side.index()];
            let read = conversations.summary(id).await?.map_or(Seq::ZERO, |summary| summary.side(side).read);
            receipts.load(key, receipt, read);
        }
        if let Some(track) = receipts.track(key)
            && let Some((first, _)) = track.undecided()
        {
            let joins = !self.has_message_between(key, track.receipt.sent, first).await?;
            receipts.decide(key, first, joins);
        }
        match receipts.track(key) {
            Some(track) if receipts.is_asked_for() => self.announce_receipt(key, &track).await,
            _ => Ok(()),
        }
    }

    /// Whether the other side has a message beyond `after` and before `before` that was not deleted.
    async fn has_message_between(&self, (id, side): Key, mut after: Seq, before: Seq) -> Result<bool, StoreError> {
        loop {
            let page = self.0.store.entries_after(id, after, PAGE).await?;
            for entry in &page {
                if entry.seq >= before {
                    return Ok(false);
                }
                let is_there = entry.message().is_some_and(|message| message.text().is_some());
                if is_there && entry.side != side {
                    return Ok(true);
                }
            }
            match page.last() {
                Some(last) => after = last.seq,
                None => return Ok(false),
            }
        }
    }
}
