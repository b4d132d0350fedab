//! Publishes entries that another process wrote to the same store, before the entries that follow them.
//!
//! Otherwise a live entry would move cursors past entries that nobody here was sent, and they would never be sent. Entries of another
//! process that are followed by none here reach people when they reconnect or read the history.

use std::collections::HashMap;

use crate::desk::Desk;
use crate::desk::delivery::PAGE;
use crate::desk::failure_log::FailureLog;
use crate::domain::{Conversation, ConversationId, Entry, Seq, Timestamp};
use crate::store::StoreError;

/// Conversations remembered; beyond this many, all are forgotten and looked at again.
const REMEMBERED: usize = 50_000;

/// Up to where this process has told each conversation.
pub(in crate::desk) struct Told {
    /// Since when this process tells.
    since: Timestamp,
    ends: HashMap<ConversationId, Seq>,
    failures: FailureLog,
}

impl Told {
    pub(in crate::desk) fn new(since: Timestamp) -> Self {
        Self { since, ends: HashMap::new(), failures: FailureLog::new("read entries of other processes") }
    }

    /// An entry is about to be told. Gives after which one something may have to be told before it.
    fn advance(&mut self, entry: &Entry) -> Option<Seq> {
        if self.ends.len() >= REMEMBERED {
            self.ends.clear();
        }
        let before = entry.seq.previous();
        match self.ends.insert(entry.conversation, entry.seq) {
            Some(end) => (end < before).then_some(end),
            // Whoever is here has come since this process runs, and was caught up then: look back no further.
            None => (before > Seq::ZERO).then(|| Seq::new(before.get().saturating_sub(PAGE as u64))),
        }
    }
}

impl Desk {
    /// To be called before an entry is told that this process has appended.
    pub(in crate::desk) async fn tell_what_comes_before(
        &self,
        entry: &Entry,
        conversation: Conversation,
        told: &mut Told,
    ) {
        if !self.0.stores.is_shared {
            return;
        }
        if let Some(after) = told.advance(entry) {
            let outcome = self.tell_between(conversation, after, entry.seq, told.since).await;
            told.failures.note(&outcome);
        }
    }

    async fn tell_between(
        &self,
        conversation: Conversation,
        mut after: Seq,
        before: Seq,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        while after < before.previous() {
            let page = self.0.stores.conversations.entries_after(conversation.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seq;
            let missing = page.into_iter().filter(|entry| entry.seq < before && entry.at >= since).collect();
            for told in self.show(conversation, missing).await? {
                let mut recipients = Vec::new();
                for recipient in self.recipients(conversation.members) {
                    if !self.0.presence.is_connected(recipient) {
                        continue;
                    }
                    // They may have come from there, and have heard it.
                    let had = self.delivered(recipient, conversation.id).await?.unwrap_or_default();
                    if had < told.entry.seq {
                        recipients.push(recipient);
                    }
                }
                self.tell_entry_to(&told.into(), recipients);
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
    fn only_what_lies_between_is_looked_for() {
        let mut told = Told::new(Timestamp::default());
        assert_eq!(told.advance(&entry(1)), None, "nothing can come before it");
        assert_eq!(told.advance(&entry(2)), None);
        assert_eq!(told.advance(&entry(5)), Some(Seq::new(2)));
        let mut new = Told::new(Timestamp::default());
        assert_eq!(new.advance(&entry(1000)), Some(Seq::new(999 - PAGE as u64)));
        assert_eq!(new.advance(&entry(1001)), None);
    }
}
