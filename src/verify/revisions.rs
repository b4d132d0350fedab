//! Compares stored edits and deletions with the log.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::Difference;
use crate::domain::{ConversationId, Entry, EntryKind, MessageBody, Seq, Timestamp};
use crate::store::{ConversationStore, Maintenance, StoreError};

/// By message: the last edit or deletion, and a digest of the new text, since texts may be many and long.
#[derive(Default)]
pub(super) struct Revisions {
    stored: BTreeMap<Seq, (Seq, u64)>,
    expected: BTreeMap<Seq, (Seq, u64)>,
}

impl Revisions {
    /// Applies the next entry of the log.
    pub(super) fn apply(&mut self, entry: &Entry) {
        match &entry.kind {
            EntryKind::Message(message) => {
                if let Some(revision) = &message.revision {
                    self.stored.insert(entry.seq, (revision.seq, digest(revision.at, revision.text.as_ref())));
                }
            }
            EntryKind::Edited { target, body } => {
                self.expected.insert(target.seq, (entry.seq, digest(entry.at, Some(body))));
            }
            EntryKind::Deleted { target } => {
                self.expected.insert(target.seq, (entry.seq, digest(entry.at, None)));
            }
            EntryKind::Read { .. } | EntryKind::StatusChanged { .. } => {}
        }
    }

    /// Every message whose stored edit or deletion differs from the log.
    pub(super) fn differences(&self) -> impl Iterator<Item = Difference> {
        let seq_of = |revision: Option<&(Seq, u64)>| revision.map(|(seq, _)| *seq);
        let of = move |message: &Seq| {
            let (stored, expected) = (self.stored.get(message), self.expected.get(message));
            let (message, stored_by, expected_by) = (*message, seq_of(stored), seq_of(expected));
            (stored != expected).then_some(Difference::Revision { message, stored: stored_by, expected: expected_by })
        };
        let only_stored = self.stored.keys().filter(|message| !self.expected.contains_key(message));
        self.expected.keys().chain(only_stored).filter_map(of)
    }
}

fn digest(at: Timestamp, text: Option<&MessageBody>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (at.millis(), text.map(MessageBody::as_str)).hash(&mut hasher);
    hasher.finish()
}

/// Repairs the edits and deletions that `found` names. Returns whether nothing differs any more.
pub(super) async fn repair(
    conversations: &dyn ConversationStore,
    maintenance: &dyn Maintenance,
    id: ConversationId,
    found: &[Difference],
) -> Result<bool, StoreError> {
    let mut all = true;
    for difference in found {
        if let Difference::Revision { message, stored, expected } = difference {
            let by = match expected {
                Some(expected) => conversations.entries_at(id, &[*expected]).await?.pop(),
                None => None,
            };
            all &= maintenance.repair_revision(id, *message, *stored, by.as_ref()).await?;
        }
    }
    Ok(all)
}
