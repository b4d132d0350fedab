//! Appends that failed, although their entries may have been stored.
//!
//! A database server may store an entry and fail before it confirms it. Its author then gets an error. If they try again, the entry is
//! found, and published then. If they do not, nobody would be sent it before the next entry of the conversation. So each such
//! conversation is checked repeatedly, until the append can take effect no more.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Log;
use super::submission::{Purpose, SubmitError};
use crate::domain::{ConversationId, DraftKind, Seq, Side};

/// Conversations that wait for a check. The entries of any further one are published with its next entry.
const WAITING: usize = 50_000;

/// How long an append that failed may still take effect: twice the time that a call of the store takes at most.
pub(super) const TAKES_EFFECT: Duration = Duration::from_secs(10);

/// How long a conversation waits for its first check. Each further wait is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Conversations that are checked together.
const AT_ONCE: usize = 8;

/// Conversations that may have stored entries that were not published.
#[derive(Default)]
pub(super) struct Doubts {
    conversations: Mutex<HashMap<ConversationId, Doubt>>,
    added: Notify,
}

struct Doubt {
    /// When it was last noted.
    noted: Instant,
    /// When it is checked next.
    due: Instant,
    /// The wait after that.
    pause: Duration,
}

impl Doubts {
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
    /// Checks conversations in doubt, whenever there are some, until the desk is closed.
    pub(super) async fn watch_doubts(self) {
        let doubts = &self.0.published.doubts;
        loop {
            if doubts.is_empty() {
                doubts.added.notified().await;
            }
            tokio::time::sleep(PAUSE).await;
            let begun = Instant::now();
            // This also makes the servers agree on what was written before it. Nothing is settled without it.
            if self.0.store.check().await.is_err() {
                doubts.renew();
                continue;
            }
            let log = &self;
            let checks = doubts.take_due(begun).into_iter().map(|id| async move {
                match log.check_conversation(id).await {
                    Ok(()) => doubts.settle(id, begun.checked_sub(TAKES_EFFECT).unwrap_or(begun)),
                    Err(error) => {
                        tracing::debug!(%error, conversation.id = %id, "Could not check a conversation for unpublished entries");
                    }
                }
            });
            stream::iter(checks).buffer_unordered(AT_ONCE).collect::<()>().await;
        }
    }

    /// If there may be an entry beyond the published ones, sends a read mark without effect through the lane of the conversation. It
    /// waits there for its turn, and before its outcome is reported, all stored entries are published. The lane is not entered
    /// otherwise, because a store that does not answer would hold up real messages behind it.
    async fn check_conversation(&self, id: ConversationId) -> Result<(), SubmitError> {
        let Some(summary) = self.0.store.summary(id).await? else {
            self.0.published.doubts.remove(id);
            return Ok(());
        };
        if self.0.published.end(id).is_some_and(|end| end >= summary.last_seq) {
            return Ok(());
        }
        let conversation = summary.conversation;
        let author = self.0.directory.parties(conversation).await?.customer;
        let nothing = DraftKind::Read { up_to: Seq::ZERO };
        let submission = self.prepare(conversation, Side::Customer, author, nothing).await?;
        self.append(submission.into_check()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConversationId = ConversationId::from_bytes([1; 12]);

    #[tokio::test(start_paused = true)]
    async fn a_conversation_is_checked_less_and_less_often_until_nothing_can_take_effect_any_more() {
        let doubts = Doubts::default();
        doubts.add(ID, Purpose::Entry);
        let (begun, mut checks) = (Instant::now(), Vec::new());
        while !doubts.is_empty() {
            tokio::time::advance(PAUSE).await;
            let now = Instant::now();
            for id in doubts.take_due(now) {
                checks.push((now - begun).as_millis());
                doubts.settle(id, now.checked_sub(TAKES_EFFECT).unwrap());
            }
        }
        assert_eq!(checks, [250, 750, 1750, 3750, 7750, 15750]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_makes_it_due_soon_unless_the_check_itself_has_failed() {
        let doubts = Doubts::default();
        doubts.add(ID, Purpose::Entry);
        for _ in 0..4 {
            tokio::time::advance(LONGEST_PAUSE).await;
            assert_eq!(doubts.take_due(Instant::now()), [ID]);
        }
        let is_due = || !doubts.take_due(Instant::now()).is_empty();
        doubts.add(ID, Purpose::Check);
        tokio::time::advance(PAUSE).await;
        assert!(!is_due());
        doubts.add(ID, Purpose::Entry);
        tokio::time::advance(PAUSE).await;
        assert!(is_due());
    }
}
