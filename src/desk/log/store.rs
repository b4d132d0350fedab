//! Runs a lane: stores what waits as one batch, and publishes it while the next batch is being stored.

use tokio::task::JoinHandle;

use super::Log;
use super::lanes::{LaneId, Start};
use super::submission::{Purpose, Stored, Submission, unanswered};
use crate::store::{AppendError, Appended, StoreError};
use crate::supervise::essential;

impl Log {
    pub(super) fn push(&self, submission: Submission) {
        tracing::debug!(conversation.id = %submission.draft.conversation, "Submitted an entry");
        // Else closing could find no task between the push and the start of the lane, and would not wait for it.
        let _hold = self.0.tasks.hold();
        if let Some(start) = self.0.lanes.push(submission) {
            self.0.tasks.spawn(essential("log", self.clone().run_lane(start)));
        }
    }

    /// Refuses further entries. Those that wait are still stored and published.
    pub(in crate::desk) fn close(&self) {
        self.0.lanes.close();
    }

    /// Whether entries are stored.
    pub(in crate::desk) async fn check(&self) -> Result<(), StoreError> {
        self.0.lanes.check()?;
        self.0.store.check().await
    }

    /// Works until nothing waits in the lane any more, or the log has failed.
    async fn run_lane(self, Start { lane, pushed }: Start) {
        let _guard = BreakOnPanic(&self);
        let mut publishing: Option<JoinHandle<()>> = None;
        loop {
            let batch = self.gather(lane).await;
            if batch.is_empty() {
                match &mut publishing {
                    None if self.0.lanes.end(lane) => return,
                    None => {}
                    Some(running) => tokio::select! {
                        () = pushed.notified() => {}
                        _ = running => publishing = None,
                    },
                }
                continue;
            }
            let stored = self.store_batch(lane, batch).await;
            if let Some(running) = publishing.take() {
                // It never fails: `essential` catches panics.
                drop(running.await);
            }
            if self.0.lanes.is_broken() {
                // Entries may be missing before these, and confirming these would move cursors past them.
                return;
            }
            publishing = Some(self.0.tasks.spawn(essential("log publisher", self.clone().publish_batch(stored))));
        }
    }

    /// Takes all that waits, and lets everything that is ready to run do so for as long as that adds more: under load, batches
    /// grow by what has arrived already, and a lone message waits for nothing.
    async fn gather(&self, lane: LaneId) -> Vec<Submission> {
        let mut batch = Vec::new();
        self.0.lanes.take(lane, &mut batch);
        let mut before = 0;
        while batch.len() > before {
            before = batch.len();
            tokio::task::yield_now().await;
            self.0.lanes.take(lane, &mut batch);
        }
        batch
    }

    #[tracing::instrument(level = "debug", name = "desk.store_batch", skip_all, fields(entries = batch.len()))]
    async fn store_batch(&self, lane: LaneId, batch: Vec<Submission>) -> Vec<Stored> {
        // Read before the first append: what is stored already is older than anything that is published.
        self.0.delivery.published_up_to().await;
        let (count, bytes) = (batch.len(), batch.iter().map(Submission::bytes).sum());
        let mut drafts = Vec::with_capacity(batch.len());
        let mut publications = Vec::with_capacity(batch.len());
        for Submission { draft, publication } in batch {
            drafts.push(draft);
            publications.push(publication);
        }
        let results = self.0.store.append(drafts).await;
        self.0.lanes.release(lane, count, bytes);
        tracing::debug!("Stored a batch");
        if publications.iter().any(|publication| publication.purpose == Purpose::Entry) {
            log_failures(&results);
        }
        let results = results.into_iter().chain(std::iter::repeat_with(|| Err(unanswered().into())));
        publications.into_iter().zip(results).collect()
    }
}

/// Once for a batch, since its entries mostly fail together.
fn log_failures(results: &[Result<Appended, AppendError>]) {
    let failed = results.iter().filter_map(|result| match result {
        Err(AppendError::Store(error)) => Some(error),
        Ok(_) | Err(AppendError::NoConversation(_)) => None,
    });
    if let Some(error) = failed.clone().next() {
        let (count, of) = (failed.count(), results.len());
        tracing::warn!(%error, "Could not store {count} of {of} entries");
    }
}

/// Makes the log refuse and publish nothing more once a lane or its publisher has panicked, until the process ends.
pub(super) struct BreakOnPanic<'a>(pub(super) &'a Log);

impl Drop for BreakOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.0.lanes.break_down();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::testing::Fixture;
    use crate::desk::log::submission::{SubmitError, Waiting};
    use crate::desk::log::testing::read_mark;
    use crate::desk::{Desk, DeskSettings};
    use crate::domain::ConversationId;

    const ID: ConversationId = ConversationId::from_bytes([1; 12]);

    fn open_log() -> (Fixture, Log) {
        let fixture = Fixture::new();
        let (accounts, clock) = (fixture.accounts.clone(), fixture.clock.clone());
        let desk = Desk::open(&fixture.stores, accounts, clock, DeskSettings::default());
        (fixture, desk.log)
    }

    #[tokio::test]
    async fn a_publisher_that_panics_stops_the_log() {
        let (_fixture, log) = open_log();
        let mut publication = read_mark(ID).0.publication;
        publication.waiting = Some(Waiting::Message(Box::new(|_| panic!("on purpose"))));
        let batch = vec![(publication, Err(unanswered().into()))];
        assert!(tokio::spawn(log.clone().publish_batch(batch)).await.is_err());
        assert!(log.check().await.is_err());
        let (late, answered) = read_mark(ID);
        log.push(late);
        assert!(matches!(answered.await, Ok(Err(SubmitError::ShuttingDown))));
    }

    #[tokio::test]
    async fn a_batch_that_is_stored_after_a_panic_is_not_published() {
        for is_broken in [false, true] {
            let (_fixture, log) = open_log();
            let (submission, answered) = read_mark(ID);
            let start = log.0.lanes.push(submission).unwrap();
            let break_down = async {
                if is_broken {
                    log.0.lanes.break_down();
                }
            };
            tokio::join!(biased; log.clone().run_lane(start), break_down);
            assert_eq!(answered.await.is_ok(), !is_broken, "publishing answers whoever waits");
        }
    }
}
