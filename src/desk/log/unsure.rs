//! Appends that failed, although their entries may have been stored.
//!
//! A database server may store an entry and fail before it confirms it. Its author is told that it was refused. If they try again, the
//! entry is found, and published then. If they do not, nobody would be sent it before the next entry of the conversation. So each
//! such conversation is looked at again, until nothing can come of the append any more.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Log;
use super::submission::{Purpose, SubmitError};
use crate::domain::{ConversationId, DraftKind, Seq, Side};

/// Conversations that wait to be looked at; beyond this many, one is looked at after its next entry.
const WAITING: usize = 50_000;

/// How long an append that failed may still take effect: twice the time that a call of the store takes at most.
pub(super) const TAKES_EFFECT: Duration = Duration::from_secs(10);

/// How long a conversation waits until it is looked at. Each further wait is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Conversations that are looked at together.
const AT_ONCE: usize = 8;

/// Conversations that may have stored entries that were not published.
#[derive(Default)]
pub(super) struct Unsure {
    conversations: Mutex<HashMap<ConversationId, Doubt>>,
    added: Notify,
}

struct Doubt {
    /// When it was last noted.
    noted: Instant,
    /// When it is looked at next.
    due: Instant,
    /// The wait after that.
    pause: Duration,
}

impl Unsure {
    /// A submission failed, or stored entries could not be read.
    pub(super) fn add(&self, id: ConversationId, purpose: Purpose) {
        let now = Instant::now();
        let mut conversations = self.conversations.lock();
        if let Some(doubt) = conversations.get_mut(&id) {
            doubt.noted = now;
            if purpose == Purpose::Entry {
                doubt.due = doubt.due.min(now + PAUSE);
            }
        } else if conversations.len() < WAITING {
            conversations.insert(id, Doubt { noted: now, due: now + PAUSE, pause: 2 * PAUSE });
            self.added.notify_one();
        }
    }

    pub(super) fn remove(&self, id: ConversationId) {
        self.conversations.lock().remove(&id);
    }

    pub(super) fn contains(&self, id: ConversationId) -> bool {
        self.conversations.lock().contains_key(&id)
    }

    /// Removes a conversation, unless it was noted after this instant.
    fn settle(&self, id: ConversationId, before: Instant) {
        let mut conversations = self.conversations.lock();
        if conversations.get(&id).is_some_and(|doubt| doubt.noted < before) {
            conversations.remove(&id);
        }
    }

    /// Nothing is known to have taken effect until now.
    fn renew(&self) {
        let now = Instant::now();
        self.conversations.lock().values_mut().for_each(|doubt| doubt.noted = now);
    }

    fn is_empty(&self) -> bool {
        self.conversations.lock().is_empty()
    }

    /// Those that are due. Each of them is due again later.
    fn take_due(&self, now: Instant) -> Vec<ConversationId> {
        let mut due = Vec::new();
        for (id, doubt) in self.conversations.lock().iter_mut().filter(|(_, doubt)| doubt.due <= now) {
            due.push(*id);
            doubt.due = now + doubt.pause;
            doubt.pause = (2 * doubt.pause).min(LONGEST_PAUSE);
        }
        due
    }
}

impl Log {
    /// Looks at conversations that are unsure, whenever there are some, until the desk is closed.
    pub(super) async fn watch_unsure(self) {
        let unsure = &self.0.published.unsure;
        loop {
            if unsure.is_empty() {
                unsure.added.notified().await;
            }
            tokio::time::sleep(PAUSE).await;
            let begun = Instant::now();
            // This also makes the servers agree on what was written before it. Nothing is settled without it.
            if self.0.store.check().await.is_err() {
                unsure.renew();
                continue;
            }
            let log = &self;
            let looks = unsure.take_due(begun).into_iter().map(|id| async move {
                match log.look_at(id).await {
                    Ok(()) => unsure.settle(id, begun.checked_sub(TAKES_EFFECT).unwrap_or(begun)),
                    Err(error) => {
                        tracing::debug!(%error, conversation.id = %id, "Could not look for unpublished entries");
                    }
                }
            });
            stream::iter(looks).buffer_unordered(AT_ONCE).collect::<()>().await;
        }
    }

    /// If there may be an entry beyond the published ones, sends a read mark without effect through the lane of the conversation. It
    /// waits there for its turn, and before its outcome is reported, all stored entries are published. The lane is not entered
    /// otherwise, because a store that does not answer would hold up real messages behind it.
    async fn look_at(&self, id: ConversationId) -> Result<(), SubmitError> {
        let Some(conversation) = self.0.directory.conversation(id).await? else {
            self.0.published.unsure.remove(id);
            return Ok(());
        };
        let last = self.0.store.summary(id).await?.map_or(Seq::ZERO, |summary| summary.last_seq);
        if self.0.published.end(id).is_some_and(|end| end >= last) {
            return Ok(());
        }
        let author = self.0.directory.parties(conversation).await?.customer;
        let nothing = DraftKind::Read { up_to: Seq::ZERO };
        let submission = self.prepare(conversation, Side::Customer, author, nothing).await?;
        self.append(submission.into_look()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConversationId = ConversationId::from_bytes([1; 12]);

    #[tokio::test(start_paused = true)]
    async fn a_conversation_is_looked_at_less_and_less_often_until_nothing_can_come_any_more() {
        let unsure = Unsure::default();
        unsure.add(ID, Purpose::Entry);
        let (begun, mut looks) = (Instant::now(), Vec::new());
        while !unsure.is_empty() {
            tokio::time::advance(PAUSE).await;
            let now = Instant::now();
            for id in unsure.take_due(now) {
                looks.push((now - begun).as_millis());
                unsure.settle(id, now.checked_sub(TAKES_EFFECT).unwrap());
            }
        }
        assert_eq!(looks, [250, 750, 1750, 3750, 7750, 15750]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_makes_it_due_soon_unless_looking_itself_has_failed() {
        let unsure = Unsure::default();
        unsure.add(ID, Purpose::Entry);
        for _ in 0..4 {
            tokio::time::advance(LONGEST_PAUSE).await;
            assert_eq!(unsure.take_due(Instant::now()), [ID]);
        }
        let is_due = || !unsure.take_due(Instant::now()).is_empty();
        unsure.add(ID, Purpose::Look);
        tokio::time::advance(PAUSE).await;
        assert!(!is_due());
        unsure.add(ID, Purpose::Entry);
        tokio::time::advance(PAUSE).await;
        assert!(is_due());
    }
}
