//! Publishes stored entries that this process has not published: those of other processes that write to the same store, and those
//! that were stored although their append failed ([`doubts`](super::doubts)).
//!
//! They are published before the entries that follow them. Otherwise a live entry would move cursors past entries that nobody here
//! was sent, and they would never be sent. Entries of another process that are followed by none here reach people when they
//! reconnect or read the history.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Log;
use super::doubts::{Doubts, TAKES_EFFECT};
use super::submission::Purpose;
use crate::desk::failure_log::FailureLog;
use crate::domain::{Conversation, ConversationId, DeskEvent, EntryEvent, Seq, Timestamp, UserId};
use crate::presence::SendOutcome;
use crate::store::{AppendError, StoreError};

/// Conversations remembered; beyond this many, all are forgotten.
const REMEMBERED: usize = 50_000;

/// How many entries are read at a time, and how far back the first read of a conversation reaches.
const PAGE: usize = 200;

/// New entries that are held back; of any further ones, only the connection that they came from is forgotten.
const HELD: usize = 1024;

/// How far this process has published each conversation.
pub(super) struct Published {
    /// Whether other processes write to the store, and an append that failed may have been stored.
    is_shared: bool,
    /// When this process began to publish.
    since: Timestamp,
    /// The last entry of each conversation that was published, or that everybody here has been sent.
    ends: Mutex<HashMap<ConversationId, Seq>>,
    /// Entries of this process that wait for those before them, which could not be read.
    held: Mutex<HashMap<(ConversationId, Seq), Arc<EntryEvent>>>,
    pub(super) doubts: Doubts,
    failures: FailureLog,
}

impl Published {
    pub(super) fn new(is_shared: bool, since: Timestamp) -> Self {
        let failures = FailureLog::new("read entries that were not published");
        let (ends, held, doubts) = (Mutex::default(), Mutex::default(), Doubts::default());
        Self { is_shared, since, ends, held, doubts, failures }
    }

    fn advance(&self, conversation: ConversationId, to: Seq) {
        let mut held = self.held.lock();
        if !held.is_empty() {
            held.retain(|(of, seq), _| *of != conversation || *seq > to);
        }
        drop(held);
        let mut ends = self.ends.lock();
        if ends.len() >= REMEMBERED {
            ends.clear();
        }
        let end = ends.entry(conversation).or_insert(to);
        *end = to.max(*end);
    }

    pub(super) fn end(&self, conversation: ConversationId) -> Option<Seq> {
        self.ends.lock().get(&conversation).copied()
    }
}

impl Log {
    /// To be called before a new entry is published. Returns false if entries may be missing before it that cannot be read at
    /// present. Then it must be [held back](Self::hold_back).
    pub(super) async fn publish_missing_before(&self, event: &EntryEvent) -> bool {
        self.publish_missing(event.parties.conversation, event.entry.seq.previous()).await
    }

    /// A new entry cannot be published before the ones that are missing. It is published after them, later.
    pub(super) fn hold_back(&self, event: &Arc<EntryEvent>) {
        let mut held = self.0.published.held.lock();
        if held.len() < HELD {
            held.insert((event.entry.conversation, event.entry.seq), event.clone());
        }
    }

    /// To be called once a new entry was published.
    pub(super) fn note_published(&self, conversation: ConversationId, seq: Seq) {
        let published = &self.0.published;
        if published.is_shared {
            published.advance(conversation, seq);
            // An insert whose outcome is unknown comes before this entry, or fails because its place is taken.
            published.doubts.remove(conversation);
        }
    }

    /// To be called for an append that failed.
    pub(super) fn note_failed_append(&self, conversation: ConversationId, purpose: Purpose, error: &AppendError) {
        let published = &self.0.published;
        match error {
            AppendError::Store(StoreError::Unavailable(_)) if published.is_shared => {
                published.doubts.add(conversation, purpose);
            }
            // Another check would not help.
            AppendError::Store(_) if purpose == Purpose::Check => published.doubts.remove(conversation),
            AppendError::Store(_) => {}
            AppendError::NoConversation(_) => published.doubts.remove(conversation),
        }
    }

    /// To be called for an entry that was stored before. If it was never published here, publishes it, and returns whether its
    /// author is sent it.
    pub(super) async fn publish_unpublished(&self, event: &Arc<EntryEvent>) -> bool {
        let (published, conversation, seq) = (&self.0.published, event.parties.conversation, event.entry.seq);
        let end = published.end(conversation.id);
        let is_published = match end {
            Some(end) => seq <= end,
            // Everybody here has connected since this process began, and was caught up then.
            None => event.entry.at < published.since,
        };
        if !published.is_shared || is_published || !self.publish_missing_before(event).await {
            return false;
        }
        let outcome = self.publish_late(event, end.is_some()).await;
        self.settle(conversation.id, outcome).unwrap_or_default()
    }

    /// Publishes what is missing up to `last`. Returns false if it cannot be read at present; then it is tried again later.
    ///
    /// Nothing beyond `last` is published: the next batch may be being stored, and is published by itself.
    pub(super) async fn publish_missing(&self, conversation: Conversation, last: Seq) -> bool {
        let published = &self.0.published;
        if !published.is_shared || published.end(conversation.id).is_some_and(|end| end >= last) {
            return true;
        }
        let outcome = self.try_publish_missing(conversation, last).await;
        self.settle(conversation.id, outcome).is_some()
    }

    /// The outcome of a step. `None` if the store is unavailable: then the conversation is checked again later.
    fn settle<T: Default>(&self, conversation: ConversationId, outcome: Result<T, StoreError>) -> Option<T> {
        let published = &self.0.published;
        let (value, outcome) = match outcome {
            Ok(value) => (Some(value), Ok(())),
            // A record that cannot be read must not stop the others.
            Err(error @ (StoreError::Corrupt(_) | StoreError::Refused(_))) => (Some(T::default()), Err(error)),
            Err(error @ StoreError::Unavailable(_)) => {
                published.doubts.add(conversation, Purpose::Check);
                (None, Err(error))
            }
        };
        published.failures.note(&outcome);
        value
    }

    async fn try_publish_missing(&self, conversation: Conversation, last: Seq) -> Result<(), StoreError> {
        let published = &self.0.published;
        let end = published.end(conversation.id);
        // Everybody here has connected since this process began, and was caught up then: look back no further than that, and than a
        // page.
        let since = if end.is_none() { published.since } else { Timestamp::default() };
        let mut after = end.unwrap_or_else(|| Seq::new(last.get().saturating_sub(PAGE as u64)));
        while after < last {
            let page = self.0.store.entries_after(conversation.id, after, PAGE).await?;
            let Some(page_end) = page.last().map(|entry| entry.seq) else { break };
            let is_missing = |seq: Seq, at: Timestamp| seq <= last && at >= since;
            let entries = page.into_iter().filter(|entry| is_missing(entry.seq, entry.at)).collect();
            for event in self.0.events.build(conversation, entries).await? {
                let held = published.held.lock().get(&(conversation.id, event.entry.seq)).cloned();
                self.publish_late(&held.unwrap_or_else(|| Arc::new(event)), end.is_some()).await?;
            }
            after = page_end.min(last);
            published.advance(conversation.id, after);
        }
        Ok(())
    }

    /// Publishes an entry some time after it was stored. Returns whether its author is sent it. `is_unpublished`: this process has
    /// surely not published it before.
    async fn publish_late(&self, event: &Arc<EntryEvent>, is_unpublished: bool) -> Result<bool, StoreError> {
        let (conversation, seq) = (event.parties.conversation, event.entry.seq);
        let mut have_it: Vec<UserId> = Vec::new();
        for recipient in self.0.presence.recipients(conversation.members) {
            // The cursor in memory may be older than what they confirmed to another process.
            if self.0.delivery.sent_up_to(recipient, conversation.id).await?.is_some_and(|sent| sent >= seq)
                || self.0.store.delivered(conversation.id, recipient).await?.is_some_and(|stored| stored >= seq)
            {
                have_it.push(recipient);
            }
        }
        // A connection that joined while the append was under way may have read the log without this entry.
        let is_in_doubt = self.0.published.doubts.contains(conversation.id);
        let took_effect = if is_in_doubt { event.entry.at.after(TAKES_EFFECT) } else { event.entry.at };
        let age = took_effect.until(self.0.clock.now());
        let stored = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        let desk_event = DeskEvent::Entry(event.clone());
        let outcome = self.deliver(event, |recipient| match have_it.contains(&recipient) {
            false => self.0.presence.send(recipient, &desk_event),
            true if is_unpublished => self.0.presence.send_late(recipient, event, stored),
            true => SendOutcome::Closed,
        });
        self.0.published.advance(conversation.id, seq);
        Ok(matches!(outcome, SendOutcome::Sent | SendOutcome::NotTaken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConversationId = ConversationId::from_bytes([1; 12]);

    #[test]
    fn the_end_moves_forward_only() {
        let published = Published::new(true, Timestamp::default());
        assert_eq!(published.end(ID), None);
        published.advance(ID, Seq::new(5));
        published.advance(ID, Seq::new(3));
        assert_eq!(published.end(ID), Some(Seq::new(5)));
    }
}
