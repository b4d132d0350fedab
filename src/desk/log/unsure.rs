//! Appends that failed, although their entries may have been stored.
//!
//! A database server may store an entry and fail before it confirms it. Its author then gets an error. If they try again, the
//! entry is found, and published then. If they do not, nobody would be sent it before the next entry of the conversation. So each
//! such conversation is read again soon.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Log;
use super::submission::SubmitError;
use crate::domain::{ConversationId, DraftKind, Seq, Side};

/// Conversations that wait to be looked at; beyond this many, one is looked at after its next entry.
const WAITING: usize = 50_000;

/// First pause before the conversations are looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// Longest pause, while looking at them fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Conversations that may have stored entries that were not published.
#[derive(Default)]
pub(super) struct Unsure {
    conversations: Mutex<HashSet<ConversationId>>,
    added: Notify,
}

impl Unsure {
    pub(super) fn add(&self, id: ConversationId) {
        let mut conversations = self.conversations.lock();
        if conversations.len() < WAITING {
            conversations.insert(id);
            self.added.notify_one();
        }
    }

    pub(super) fn remove(&self, id: ConversationId) {
        self.conversations.lock().remove(&id);
    }

    pub(super) fn contains(&self, id: ConversationId) -> bool {
        self.conversations.lock().contains(&id)
    }

    fn ids(&self) -> Vec<ConversationId> {
        self.conversations.lock().iter().copied().collect()
    }
}

impl Log {
    /// Looks at conversations that are unsure, whenever there are some, until the desk is closed.
    pub(super) async fn watch_unsure(self) {
        let unsure = &self.0.published.unsure;
        let mut pause = PAUSE;
        loop {
            if unsure.ids().is_empty() {
                unsure.added.notified().await;
                pause = PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if self.0.store.check().await.is_err() {
                // It is unavailable for all of them; seen again as soon as it is back.
                pause = PAUSE;
                continue;
            }
            for id in unsure.ids() {
                match self.look_at(id).await {
                    Ok(()) => pause = PAUSE,
                    Err(error) => {
                        tracing::debug!(%error, conversation.id = %id, "Could not look for unpublished entries");
                    }
                }
            }
        }
    }

    /// Sends a read mark without effect through the lane of a conversation. It waits there for its turn, and before its outcome is
    /// reported, all stored entries are published.
    async fn look_at(&self, id: ConversationId) -> Result<(), SubmitError> {
        let Some(conversation) = self.0.directory.conversation(id).await? else {
            self.0.published.unsure.remove(id);
            return Ok(());
        };
        let author = self.0.directory.parties(conversation).await?.customer;
        let nothing = DraftKind::Read { up_to: Seq::ZERO };
        let submission = self.prepare(conversation, Side::Customer, author, nothing).await?;
        self.append(submission).await.map(drop)
    }
}
