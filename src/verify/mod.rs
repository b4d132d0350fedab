//! `deskline verify`: recomputes everything that can be derived from the log, and reports where the stored data differs.
//!
//! It also checks the log itself: missing seqs and timestamps that run backwards are reported, but cannot be repaired.

use std::fmt;

use crate::domain::{ConversationId, Seq};
use crate::store::{ConversationStore, MAX_PAGE, Maintenance, StoreError};

mod check;
mod revisions;
#[cfg(test)]
mod tests;

use check::{Looked, look};

/// What is wrong with a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub conversation: ConversationId,
    /// What.
    pub difference: Difference,
}

/// How what is kept differs from what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// An entry is missing from the log.
    Hole {
        /// The seq that is not there.
        missing: Seq,
    },
    /// An entry's stamp is before that of the one before it.
    Backwards {
        /// The entry.
        seq: Seq,
    },
    /// Messages whose copy for the replaced server is missing, or says something else than the log.
    Copies {
        /// How many.
        count: usize,
        /// The first of them.
        first: Seq,
    },
    /// What became of a message is not what follows from the log.
    Revision {
        /// The message.
        message: Seq,
        /// The entry that counts as having changed it last.
        kept: Option<Seq>,
        /// The entry that did.
        right: Option<Seq>,
    },
    /// A projection is not what follows from the log.
    Projection {
        /// Which one.
        field: &'static str,
        /// What is kept.
        kept: String,
        /// What follows from the log.
        right: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.conversation)?;
        match &self.difference {
            Difference::Hole { missing } => write!(f, "entry {missing} is missing from the log"),
            Difference::Backwards { seq } => write!(f, "the stamp of entry {seq} is before that of the one before it"),
            Difference::Copies { count, first } => {
                write!(f, "{count} copies for the replaced server are missing or wrong, the first of entry {first}")
            }
            Difference::Revision { message, kept, right } => {
                let by = |seq: &Option<Seq>| seq.map_or("by none".to_owned(), |seq| format!("by entry {seq}"));
                write!(f, "message {message} counts as changed {}, the log says {}", by(kept), by(right))
            }
            Difference::Projection { field, kept, right } => write!(f, "{field} is {kept}, the log says {right}"),
        }
    }
}

/// What a run has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Conversations that were looked at.
    pub conversations: u64,
    /// Entries that were looked at.
    pub entries: u64,
    /// Differences.
    pub found: u64,
    /// Conversations whose projections or copies were put right.
    pub repaired: u64,
    /// Conversations that are still wrong: the log itself is, or nobody asked for a repair.
    pub left: u64,
}

/// What to do about differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Only tell.
    No,
    /// Put the projections and the copies right.
    WhatFollows,
}

/// Looks at every conversation. Tells each finding, and how many conversations and entries are done.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub async fn verify(
    conversations: &dyn ConversationStore,
    maintenance: &dyn Maintenance,
    repair: Repair,
    mut tell: impl FnMut(&Finding),
    mut progress: impl FnMut(&Report),
) -> Result<Report, StoreError> {
    let (mut report, mut after) = (Report::default(), None);
    loop {
        let page = maintenance.conversations_after(after, MAX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(report) };
        let mut before = after.replace(last.conversation.id);
        for kept in page {
            let id = kept.conversation.id;
            let looked = look(conversations, maintenance, before, kept).await?;
            before = Some(id);
            report.conversations += 1;
            report.entries += looked.right.last_seq.get();
            progress(&report);
            if looked.findings.is_empty() {
                continue;
            }
            report.found += looked.findings.len() as u64;
            for difference in &looked.findings {
                tell(&Finding { conversation: id, difference: difference.clone() });
            }
            let is_sound = looked.findings.iter().all(Difference::can_be_repaired);
            let is_right = match repair {
                Repair::No => false,
                Repair::WhatFollows => put_right(conversations, maintenance, &looked).await?,
            };
            report.repaired += u64::from(is_right && looked.findings.iter().any(Difference::can_be_repaired));
            report.left += u64::from(!is_sound || !is_right);
        }
    }
}

impl Difference {
    /// Whether what is right follows from the log.
    const fn can_be_repaired(&self) -> bool {
        match self {
            Self::Hole { .. } | Self::Backwards { .. } => false,
            Self::Revision { .. } | Self::Projection { .. } | Self::Copies { .. } => true,
        }
    }
}

/// Puts right what follows from the log. Tells whether nothing was left.
async fn put_right(
    conversations: &dyn ConversationStore,
    maintenance: &dyn Maintenance,
    looked: &Looked,
) -> Result<bool, StoreError> {
    let Looked { kept, right, findings } = looked;
    // A conversation that somebody writes to has moved on by now, and what is kept of it need not be wrong.
    let is_wrong = findings.iter().any(|found| matches!(found, Difference::Projection { .. }));
    let summary = !is_wrong || maintenance.repair(kept, right).await?;
    let revisions = revisions::repair(conversations, maintenance, kept.conversation.id, findings).await?;
    // Looked at again: what became of messages is right only now.
    let wrong_copies = maintenance.wrong_copies(right).await?;
    maintenance.repair_copies(right, &wrong_copies).await?;
    Ok(summary && revisions)
}
