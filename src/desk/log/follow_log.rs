//! Publishes stored entries that this process has not published: those of other processes that write to the same store, and those
//! that were stored although their append failed ([`unsure`](super::unsure)).
//!
//! They are published before the entries that follow them. Otherwise a live entry would move cursors past entries that nobody here
//! was sent, and they would never be sent. Entries of another process that are followed by none here reach people when they
//! reconnect or read the history.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Log;
use super::unsure::Unsure;
use crate::desk::failure_log::FailureLog;
use crate::domain::{Conversation, ConversationId, EntryEvent, Seq, Timestamp};
use crate::store::{AppendError, StoreError};

/// Conversations remembered; beyond this many, all are forgotten.
const REMEMBERED: usize = 50_000;

/// How many entries are read at a time, and how far back the first read of a conversation reaches.
const PAGE: usize = 200;

/// How far this process has published each conversation.
pub(super) struct Published {
    /// Whether other processes write to the store, and an append that failed may have been stored.
    is_shared: bool,
    /// When this process began to publish.
    since: Timestamp,
    /// The last entry of each conversation that was published, or that everybody here has been sent.
    ends: Mutex<HashMap<ConversationId, Seq>>,
    pub(super) unsure: Unsure,
    failures: FailureLog,
}

impl Published {
    pub(super) fn new(is_shared: bool, since: Timestamp) -> Self {
        let failures = FailureLog::new("read entries that were not published");
        Self { is_shared, since, ends: Mutex::default(), unsure: Unsure::default(), failures }
    }

    fn advance(&self, conversation: ConversationId, to: Seq) {
        let mut ends = self.ends.lock();
        if ends.len() >= REMEMBERED {
            ends.clear();
        }
        let end = ends.entry(conversation).or_insert(to);
        *end = to.max(*end);
    }

    /// Up to where nothing is missing, if `last` is the last entry that may be.
    fn end(&self, conversation: ConversationId, last: Seq) -> Seq {
        let end = self.ends.lock().get(&conversation).copied();
        // Everybody here has connected since this process began, and was caught up then: look back no further than a page.
        end.unwrap_or_else(|| Seq::new(last.get().saturating_sub(PAGE as u64)))
    }
}

impl Log {
    /// To be called before an entry of this process is published. Returns false if entries may be missing before it that cannot be
    /// read at present. Then it must not be published: it is itself published later, after them.
    pub(super) async fn publish_missing_before(&self, conversation: Conversation, seq: Seq) -> bool {
        self.publish_missing(conversation, seq.previous()).await
    }

    /// To be called once a new entry was published.
    pub(super) fn note_published(&self, conversation: ConversationId, seq: Seq) {
        let published = &self.0.published;
        if published.is_shared {
            published.advance(conversation, seq);
            published.unsure.remove(conversation);
        }
    }

    /// To be called for a submission that changed nothing when the log had the entries up to `end`. Publishes what is missing if an
    /// append to the conversation has failed before, or if the submission is an edit or a deletion, which may have been stored before
    /// as well.
    pub(super) async fn publish_unchanged(&self, conversation: Conversation, end: Seq, is_change: bool) {
        let published = &self.0.published;
        if !published.is_shared || !is_change && !published.unsure.contains(conversation.id) {
            return;
        }
        if self.publish_missing(conversation, end).await {
            published.unsure.remove(conversation.id);
        }
    }

    /// To be called for an append that failed.
    pub(super) fn note_failed_append(&self, conversation: ConversationId, error: &AppendError) {
        let published = &self.0.published;
        match error {
            AppendError::Store(StoreError::Unavailable(_)) if published.is_shared => published.unsure.add(conversation),
            AppendError::Store(_) => {}
            AppendError::NoConversation(_) => published.unsure.remove(conversation),
        }
    }

    /// To be called for an entry that was stored before. If it was never published here, publishes it, and returns whether its
    /// author was sent it.
    pub(super) async fn publish_unpublished(&self, event: &Arc<EntryEvent>) -> bool {
        let (published, conversation, seq) = (&self.0.published, event.parties.conversation, event.entry.seq);
        let is_published = event.entry.at < published.since || seq <= published.end(conversation.id, seq);
        if !published.is_shared || is_published {
            return false;
        }
        if !self.publish_missing_before(conversation, seq).await {
            return false;
        }
        let outcome = self.publish_to_those_without(event).await;
        self.settle(conversation.id, outcome).unwrap_or_default()
    }

    /// Publishes what is missing up to `last`. Returns false if it cannot be read at present; then it is tried again later.
    ///
    /// Nothing beyond `last` is published: the next batch may be being stored, and is published by itself.
    async fn publish_missing(&self, conversation: Conversation, last: Seq) -> bool {
        if !self.0.published.is_shared {
            return true;
        }
        let outcome = self.try_publish_missing(conversation, last).await;
        self.settle(conversation.id, outcome).is_some()
    }

    /// The outcome of a step. `None` if the store is unavailable: then the conversation is looked at again later.
    fn settle<T: Default>(&self, conversation: ConversationId, outcome: Result<T, StoreError>) -> Option<T> {
        let published = &self.0.published;
        let (value, outcome) = match outcome {
            Ok(value) => (Some(value), Ok(())),
            // A record that cannot be read must not stop the others.
            Err(error @ (StoreError::Corrupt(_) | StoreError::Refused(_))) => (Some(T::default()), Err(error)),
            Err(error @ StoreError::Unavailable(_)) => {
                published.unsure.add(conversation);
                (None, Err(error))
            }
        };
        published.failures.note(&outcome);
        value
    }

    async fn try_publish_missing(&self, conversation: Conversation, last: Seq) -> Result<(), StoreError> {
        let (published, store) = (&self.0.published, &self.0.store);
        let mut after = published.end(conversation.id, last);
        while after < last {
            let page = store.entries_after(conversation.id, after, PAGE).await?;
            let Some(end) = page.last().map(|entry| entry.seq) else { break };
            let is_missing = |seq: Seq, at: Timestamp| seq <= last && at >= published.since;
            let entries = page.into_iter().filter(|entry| is_missing(entry.seq, entry.at)).collect();
            for event in self.0.events.build(conversation, entries).await? {
                let event = Arc::new(event);
                self.publish_to_those_without(&event).await?;
            }
            after = end.min(last);
            published.advance(conversation.id, after);
        }
        Ok(())
    }

    /// Publishes an entry to those who have not received it from another process. Returns whether its author is one of them.
    async fn publish_to_those_without(&self, event: &Arc<EntryEvent>) -> Result<bool, StoreError> {
        let (conversation, seq) = (event.parties.conversation, event.entry.seq);
        let mut recipients = Vec::new();
        for recipient in self.0.presence.recipients(conversation.members) {
            if !self.0.presence.is_connected(recipient) {
                continue;
            }
            let sent = self.0.delivery.sent_up_to(recipient, conversation.id).await?.unwrap_or_default();
            if sent < seq {
                recipients.push(recipient);
            }
        }
        let has_author = recipients.contains(&event.entry.author);
        self.publish_to(event, recipients);
        self.0.published.advance(conversation.id, seq);
        Ok(has_author)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConversationId = ConversationId::from_bytes([1; 12]);

    #[test]
    fn the_end_moves_forward_only_and_is_a_page_back_at_first() {
        let published = Published::new(true, Timestamp::default());
        assert_eq!(published.end(ID, Seq::new(1000)), Seq::new(1000 - PAGE as u64));
        assert_eq!(published.end(ID, Seq::new(7)), Seq::ZERO);
        published.advance(ID, Seq::new(5));
        published.advance(ID, Seq::new(3));
        assert_eq!(published.end(ID, Seq::new(1000)), Seq::new(5));
    }
}
