//! Writes the copy of messages in the replaced server's shape, in the background.
//!
//! The work list has conversation ids only: missing copies are found by comparing `mirrored` with the log, so work that
//! is lost, or done twice, does no harm.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bson::{Document, doc};
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::connection::within;
use super::documents::{CONVERSATIONS, ConversationDocument, MESSAGES, date, int, old_fields, our_fields, whole};
use super::queries;
use super::updates::{Scope, Update};
use crate::domain::{ConversationId, Entry, EntryKind, Members, MessageBody, MessageId, Seq, Summary, UserId};
use crate::store::StoreError;

/// Conversations that wait to be copied; beyond this number, a conversation is copied after its next message.
const QUEUE: usize = 200_000;

/// Conversations that are copied together.
const TOGETHER: usize = 64;

/// Entries that are copied at a time, per conversation.
const PAGE: usize = 200;

/// Conversations that are read at the same time.
const AT_ONCE: usize = 8;

/// Pause after a failure of the server.
const RETRY: Duration = Duration::from_secs(1);

/// The id in required fields of the old server if there is no person.
pub(super) const NOBODY: UserId = UserId::from_bytes([0; 12]);

#[derive(Default)]
pub(super) struct Mirror {
    behind: Mutex<HashSet<ConversationId>>,
    nudged: Notify,
    /// Held while copying.
    copying: tokio::sync::Mutex<()>,
}

impl Mirror {
    /// Queues a conversation that may have entries that were not copied yet.
    pub(super) fn nudge(&self, id: ConversationId) {
        self.nudge_all([id]);
    }

    fn nudge_all(&self, ids: impl IntoIterator<Item = ConversationId>) {
        let mut behind = self.lock();
        let room = QUEUE.saturating_sub(behind.len());
        behind.extend(ids.into_iter().take(room));
        drop(behind);
        self.nudged.notify_one();
    }

    fn next(&self) -> Vec<ConversationId> {
        let mut behind = self.lock();
        let next: Vec<_> = behind.iter().copied().take(TOGETHER).collect();
        for id in &next {
            behind.remove(id);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ConversationId>> {
        self.behind.lock()
    }
}

/// Copies conversations with new entries, until `stop` is cancelled. Finishes the current pages first.
pub(super) async fn keep_up(shared: Arc<Shared>, stop: CancellationToken) {
    while stop.run_until_cancelled(shared.mirror.nudged.notified()).await.is_some() {
        while let Err(error) = shared.flush_mirror().await {
            tracing::warn!(%error, "Could not update the copy in `messages`; retrying");
            if stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                return;
            }
        }
    }
}

impl Shared {
    /// Copies until the work list is empty.
    pub(super) async fn flush_mirror(&self) -> Result<(), StoreError> {
        loop {
            // Locked in each round anew, so that others are not blocked while the list is long.
            let _copying = self.mirror.copying.lock().await;
            let ids = self.mirror.next();
            if ids.is_empty() {
                return Ok(());
            }
            match self.copy_pages(&ids).await {
                Ok(unfinished) => self.mirror.nudge_all(unfinished),
                Err(error) => {
                    self.mirror.nudge_all(ids);
                    return Err(error);
                }
            }
        }
    }

    /// Copies all entries of these conversations.
    pub(super) async fn copy_now(&self, ids: &[ConversationId]) -> Result<(), StoreError> {
        for ids in ids.chunks(TOGETHER) {
            let mut unfinished = ids.to_vec();
            while !unfinished.is_empty() {
                let _copying = self.mirror.copying.lock().await;
                unfinished = self.copy_pages(&unfinished).await?;
            }
        }
        Ok(())
    }

    /// Copies one page of each of these conversations. Returns those that may have more.
    async fn copy_pages(&self, ids: &[ConversationId]) -> Result<Vec<ConversationId>, StoreError> {
        let pages = self.read_pages(ids).await?;
        self.write_pages(&pages).await?;
        let full = pages.iter().filter(|page| page.entries.len() >= PAGE);
        Ok(full.map(|page| page.summary.conversation.id).collect())
    }

    pub(super) async fn read_pages(&self, ids: &[ConversationId]) -> Result<Vec<Page>, StoreError> {
        let kept = within(async {
            let found = self.conversations.find(queries::conversations(ids.iter().copied())).await?;
            Ok::<Vec<ConversationDocument>, StoreError>(found.try_collect().await?)
        });
        let pages = stream::iter(kept.await?).map(|kept| within(self.page(kept))).buffer_unordered(AT_ONCE);
        pages.try_collect().await
    }

    pub(super) async fn write_pages(&self, pages: &[Page]) -> Result<(), StoreError> {
        let desk = within(self.first_agent()).await?.map_or(NOBODY, |user| user.id);
        let copies = pages.iter().flat_map(|page| page.copies(desk)).collect();
        self.update_all(MESSAGES, copies).await?;
        let deleted: Vec<MessageId> = pages.iter().flat_map(Page::deleted).collect();
        if !deleted.is_empty() {
            let delete = async { Ok::<_, StoreError>(self.messages.delete_many(queries::messages(deleted)).await?) };
            within(delete).await?;
        }
        let marks: Vec<_> = pages.iter().filter_map(Page::mark).collect();
        let count = marks.len() as u64;
        if self.update_all(CONVERSATIONS, marks).await? < count {
            // Another process has copied the same meanwhile, from a newer or an older state. The last one brings the
            // copies in line with the log.
            for page in pages {
                self.repair_copies(&page.summary, &page.messages()).await?;
            }
            self.update_all(CONVERSATIONS, pages.iter().filter_map(Page::mark_at_least).collect()).await?;
        }
        Ok(())
    }

    async fn page(&self, kept: ConversationDocument) -> Result<Page, StoreError> {
        let mirrored = Seq::new(whole(kept.mirrored));
        let mut summary = Summary::try_from(kept)?;
        let id = summary.conversation.id;
        let entries = self.entries_after(id, mirrored, PAGE).await?;
        if entries.last().is_some_and(|last| last.seq > summary.last_seq) {
            summary = self.summary_of(id).await?.unwrap_or(summary);
        }
        Ok(Page { summary, mirrored, entries })
    }
}

/// Entries that are not copied yet, or a part of them.
pub(super) struct Page {
    summary: Summary,
    /// How far the conversation was copied before.
    mirrored: Seq,
    entries: Vec<Entry>,
}

impl Page {
    fn copies(&self, desk: UserId) -> Vec<Update> {
        self.entries.iter().filter_map(|entry| self.copy(entry, desk)).collect()
    }

    fn copy(&self, entry: &Entry, desk: UserId) -> Option<Update> {
        let across = entry.side.other();
        match &entry.kind {
            EntryKind::Message(message) => {
                // A message that was deleted since must not reappear.
                let text = message.text()?;
                // Messages of the old server keep their fields, and get ours in addition.
                let change = doc! {
                    "$set": our_fields(entry, message),
                    "$setOnInsert": old_shape(&self.summary, entry, text, desk),
                };
                Some(Update { filter: queries::message(message.id), change, scope: Scope::OneOrNew })
            }
            EntryKind::Read { up_to } => Some(Update {
                filter: queries::flagged_unread(entry.conversation, across, *up_to),
                change: doc! { "$set": { "read": true, "updatedAt": date(entry.at) } },
                scope: Scope::All,
            }),
            EntryKind::Edited { target, body } => Some(Update {
                filter: queries::message(target.id),
                change: doc! { "$set": { "message": body.as_str(), "updatedAt": date(entry.at) } },
                scope: Scope::One,
            }),
            EntryKind::StatusChanged { .. } | EntryKind::Deleted { .. } => None,
        }
    }

    /// Messages whose copy must be deleted. The old server has no deleted messages: an empty one would be shown as an
    /// empty bubble, counted as unread, and appear as the last message of its conversation.
    fn deleted(&self) -> impl Iterator<Item = MessageId> {
        self.entries.iter().filter_map(|entry| match &entry.kind {
            EntryKind::Deleted { target } => Some(target.id),
            EntryKind::Message(_)
            | EntryKind::Read { .. }
            | EntryKind::StatusChanged { .. }
            | EntryKind::Edited { .. } => None,
        })
    }

    /// The messages of this page, and those that its edits and deletions change.
    fn messages(&self) -> Vec<Seq> {
        let about = |entry: &Entry| match &entry.kind {
            EntryKind::Message(_) => Some(entry.seq),
            EntryKind::Edited { target, .. } | EntryKind::Deleted { target } => Some(target.seq),
            EntryKind::Read { .. } | EntryKind::StatusChanged { .. } => None,
        };
        self.entries.iter().filter_map(about).collect()
    }

    /// Stores how far the conversation is copied, if no other process has copied since.
    fn mark(&self) -> Option<Update> {
        let filter = queries::conversation_copied_to(self.summary.conversation.id, self.mirrored);
        self.mark_at_least().map(|mark| Update { filter, ..mark })
    }

    /// Stores how far the conversation is copied, at least.
    fn mark_at_least(&self) -> Option<Update> {
        let last = self.entries.last()?;
        let change = doc! { "$max": { "mirrored": int(last.seq.get()) } };
        Some(Update { filter: queries::conversation(self.summary.conversation.id), change, scope: Scope::One })
    }
}

/// A message with this text, in the old server's shape.
pub(super) fn old_shape(summary: &Summary, entry: &Entry, text: &MessageBody, desk: UserId) -> Document {
    let receiver = match summary.conversation.members {
        Members::Support { customer } if customer == entry.author => desk,
        Members::Support { customer } => customer,
        Members::Direct { first, second } if first == entry.author => second,
        Members::Direct { first, .. } => first,
    };
    old_fields(entry, text, receiver, entry.seq <= summary.side(entry.side.other()).read)
}
