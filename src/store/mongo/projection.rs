//! Reads projections, applies new entries to them, and repairs them from the log where they lag behind it.

use bson::oid::ObjectId;
use bson::{Document, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::HashMap;

use super::Shared;
use super::connection::within;
use super::documents::{int, projection};
use super::queries;
use crate::domain::{ConversationId, Entry, Seq, Summary};
use crate::store::{MAX_PAGE, Page, StoreError, is_last_page};

/// How many of the newest entries are searched at startup for conversations whose state lags behind their log after a crash.
const LOOKED_AT: i64 = 5000;

/// Conversations that are repaired at the same time.
const AT_ONCE: usize = 8;

impl Shared {
    /// The state of a conversation, repaired if it is behind the log.
    pub(super) async fn summary_of(&self, id: ConversationId) -> Result<Option<Summary>, StoreError> {
        let kept = async { Ok::<_, StoreError>(self.conversations.find_one(queries::conversation(id)).await?) };
        let newest = async {
            let newest = self.entries.find_one(queries::entries_of(id)).sort(queries::newest_first());
            Ok(newest.await?)
        };
        let (kept, newest) = tokio::try_join!(kept, newest)?;
        let Some(kept) = kept else { return Ok(None) };
        let summary = Summary::try_from(kept)?;
        match newest {
            Some(newest) if newest.seq > int(summary.last_seq.get()) => self.heal(summary).await.map(Some),
            _ => Ok(Some(summary)),
        }
    }

    /// Applies the entries of the log that the projections lack.
    async fn heal(&self, mut summary: Summary) -> Result<Summary, StoreError> {
        loop {
            let missing = self.entries_after(summary.conversation.id, summary.last_seq, MAX_PAGE).await?;
            if !missing.is_empty() {
                // The copy then lags behind as well.
                self.mirror.nudge(summary.conversation.id);
            }
            let is_all = is_last_page(&missing, MAX_PAGE);
            let behind = queries::conversation_up_to(summary.conversation.id, summary.last_seq);
            self.fold(&mut summary, missing).await?;
            // Another process that was faster has applied the same entries, so the result is right either way.
            self.move_forward(behind, &summary).await?;
            if is_all {
                return Ok(summary);
            }
        }
    }

    /// Applies the entries that follow `summary`, and stores edits and deletions with their messages.
    pub(super) async fn fold(&self, summary: &mut Summary, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.revise(&entries).await?;
        for entry in entries {
            if entry.seq != summary.last_seq.next() {
                let id = summary.conversation.id;
                return Err(StoreError::Corrupt(format!("the log of {id} has a gap before {}", entry.seq)));
            }
            let recount = self.recount(summary, &entry).await?;
            summary.apply(&entry, recount);
        }
        Ok(())
    }

    /// Entries beyond `after`, oldest first: a page, see
    /// [`ConversationStore::entries_after`](crate::store::ConversationStore::entries_after).
    pub(super) async fn entries_after(
        &self,
        id: ConversationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let found = self.entries.find(queries::entries_after(id, after)).sort(queries::by_seq()).limit(bounded(limit));
        let (mut found, mut page) = (found.await?, Page::default());
        while let Some(document) = found.try_next().await? {
            if page.ends_with(Entry::try_from(document)?) {
                break;
            }
        }
        Ok(page.entries)
    }

    /// Updates the projections if they still match `before`. Returns whether they did; if not, another process has
    /// updated or repaired them.
    pub(super) async fn move_forward(&self, before: Document, after: &Summary) -> Result<bool, StoreError> {
        Ok(self.conversations.update_one(before, doc! { "$set": projection(after) }).await?.matched_count == 1)
    }

    /// Repairs recently written conversations whose projections are behind their log, as after a crash. Must be done before anybody
    /// connects: what people have missed is found by the projections.
    pub(super) async fn repair_lagging(&self) -> Result<(), StoreError> {
        let behind = stream::iter(within(self.find_lagging()).await?);
        let repaired = behind.map(|id| async move { (id, within(self.summary_of(id)).await) });
        let mut repaired = std::pin::pin!(repaired.buffer_unordered(AT_ONCE));
        while let Some((id, summary)) = repaired.next().await {
            match summary {
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                // One conversation that cannot be read must not stop the others.
                Err(error) => tracing::error!(%error, conversation.id = %id, "Could not repair conversation {id}"),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Finds recently written conversations whose projections are behind their log, and queues those whose copy is.
    async fn find_lagging(&self) -> Result<Vec<ConversationId>, StoreError> {
        let newest = self.entries.find(queries::all_entries()).sort(queries::youngest_first()).limit(LOOKED_AT);
        let mut newest = newest.projection(doc! { "conversation": 1, "seq": 1 }).await?.with_type::<Claim>();
        let mut ends: HashMap<ObjectId, i64> = HashMap::new();
        while let Some(claim) = newest.next().await.transpose()? {
            let end = ends.entry(claim.conversation).or_default();
            *end = claim.seq.max(*end);
        }
        let mut behind = Vec::new();
        let ids: Vec<_> = ends.keys().map(|id| ConversationId::from_bytes(id.bytes())).collect();
        for ids in ids.chunks(MAX_PAGE) {
            let mut kept = self.conversations.find(queries::conversations(ids.iter().copied())).await?;
            while let Some(kept) = kept.try_next().await? {
                let (id, end) = (ConversationId::from_bytes(kept.id.bytes()), ends.get(&kept.id).copied().unwrap_or(0));
                if end > kept.mirrored {
                    self.mirror.nudge(id);
                }
                if end > kept.last_seq {
                    behind.push(id);
                }
            }
        }
        Ok(behind)
    }
}

/// The conversation and seq of an entry.
#[derive(serde::Deserialize)]
struct Claim {
    conversation: ObjectId,
    seq: i64,
}

/// A limit as the driver takes it: at most [`MAX_PAGE`]; zero would mean none.
pub(super) fn bounded(limit: usize) -> i64 {
    i64::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(1)
}
