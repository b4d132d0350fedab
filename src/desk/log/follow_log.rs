//! Publishes entries that another process wrote to the same store, before the entries that follow them.
//!
//! Otherwise a live entry would move cursors past entries that nobody here was sent, and they would never be sent. Entries of another
//! process that are followed by none here reach people when they reconnect or read the history.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Log;
use crate::desk::failure_log::FailureLog;
use crate::domain::{Conversation, ConversationId, Entry, Seq, Timestamp};
use crate::store::StoreError;

/// Conversations remembered; beyond this many, all are forgotten.
const REMEMBERED: usize = 50_000;

/// How many entries are read at a time, and how far back the first read of a conversation reaches.
const PAGE: usize = 200;

/// The last entry that this process has published in each conversation.
pub(super) struct Published {
    /// Whether other processes write to the store.
    is_shared: bool,
    /// When this process began to publish.
    since: Timestamp,
    ends: Mutex<HashMap<ConversationId, Seq>>,
    failures: FailureLog,
}

impl Published {
    pub(super) fn new(is_shared: bool, since: Timestamp) -> Self {
        Self { is_shared, since, ends: Mutex::default(), failures: FailureLog::new("read entries of other processes") }
    }

    /// Notes that an entry is about to be published. If entries may be missing before it, returns the one after which they begin.
    fn advance(&self, entry: &Entry) -> Option<Seq> {
        let mut ends = self.ends.lock();
        if ends.len() >= REMEMBERED {
            ends.clear();
        }
        let before = entry.seq.previous();
        match ends.insert(entry.conversation, entry.seq) {
            Some(end) => (end < before).then_some(end),
            // Everybody here has connected since this process began, and was caught up then: look back no further.
            None => (before > Seq::ZERO).then(|| Seq::new(before.get().saturating_sub(PAGE as u64))),
        }
    }
}

impl Log {
    /// To be called before an entry of this process is published.
    pub(super) async fn publish_missing_before(&self, entry: &Entry, conversation: Conversation) {
        let published = &self.0.published;
        if !published.is_shared {
            return;
        }
        if let Some(after) = published.advance(entry) {
            let outcome = self.publish_between(conversation, after, entry.seq).await;
            published.failures.note(&outcome);
        }
    }

    async fn publish_between(&self, conversation: Conversation, mut after: Seq, before: Seq) -> Result<(), StoreError> {
        let since = self.0.published.since;
        while after < before.previous() {
            let page = self.0.store.entries_after(conversation.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seq;
            let missing = page.into_iter().filter(|entry| entry.seq < before && entry.at >= since).collect();
            for event in self.0.events.build(conversation, missing).await? {
                let mut recipients = Vec::new();
                for recipient in self.0.presence.recipients(conversation.members) {
                    if !self.0.presence.is_connected(recipient) {
                        continue;
                    }
                    // They may have been connected to the other process, and have received it there.
                    let sent = self.0.delivery.sent_up_to(recipient, conversation.id).await?.unwrap_or_default();
                    if sent < event.entry.seq {
                        recipients.push(recipient);
                    }
                }
                self.publish_to(&event.into(), recipients);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EntryKind, Side, Status, UserId};

    fn entry(seq: u64) -> Entry {
        Entry {
            conversation: ConversationId::from_bytes([1; 12]),
            seq: Seq::new(seq),
            author: UserId::from_bytes([2; 12]),
            side: Side::Customer,
            at: Timestamp::default(),
            kind: EntryKind::StatusChanged { status: Status::Active },
        }
    }

    #[test]
    fn only_entries_in_between_are_looked_for() {
        let published = Published::new(true, Timestamp::default());
        assert_eq!(published.advance(&entry(1)), None, "nothing can come before it");
        assert_eq!(published.advance(&entry(2)), None);
        assert_eq!(published.advance(&entry(5)), Some(Seq::new(2)));
        let new = Published::new(true, Timestamp::default());
        assert_eq!(new.advance(&entry(1000)), Some(Seq::new(999 - PAGE as u64)));
        assert_eq!(new.advance(&entry(1001)), None);
    }
}
