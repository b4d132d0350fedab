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

use check::{Checked, check};

/// A difference in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The conversation.
    pub conversation: ConversationId,
    /// The difference.
    pub difference: Difference,
}

/// How the stored data differs from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// An entry is missing from the log.
    Hole {
        /// The missing seq.
        missing: Seq,
    },
    /// The timestamp of an entry is earlier than that of the one before it.
    Backwards {
        /// The entry.
        seq: Seq,
    },
    /// Messages whose copy for the replaced server is missing or differs from the log.
    Copies {
        /// How many.
        count: usize,
        /// The first of them.
        first: Seq,
    },
    /// The stored edit or deletion of a message is not its last one in the log.
    Revision {
        /// The message.
        message: Seq,
        /// The stored one.
        stored: Option<Seq>,
        /// The one in the log.
        expected: Option<Seq>,
    },
    /// The stored state of the conversation differs from the log.
    Projection {
        /// The field.
        field: &'static str,
        /// The stored value.
        stored: String,
        /// The value that follows from the log.
        expected: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.conversation)?;
        match &self.difference {
            Difference::Hole { missing } => write!(f, "entry {missing} is missing from the log"),
            Difference::Backwards { seq } => write!(f, "entry {seq} has an earlier timestamp than the entry before it"),
            Difference::Copies { count, first } => {
                write!(f, "{count} copies for the replaced server are missing or wrong, the first of entry {first}")
            }
            Difference::Revision { message, stored, expected } => {
                let by = |seq: &Option<Seq>| seq.map_or("none".to_owned(), |seq| format!("entry {seq}"));
                write!(f, "the last change of message {message} is {}, the log says {}", by(stored), by(expected))
            }
            Difference::Projection { field, stored, expected } => {
                write!(f, "{field} is {stored}, the log says {expected}")
            }
        }
    }
}

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// How many conversations were checked.
    pub conversations: u64,
    /// How many entries were checked.
    pub entries: u64,
    /// How many differences were found.
    pub found: u64,
    /// How many conversations were repaired.
    pub repaired: u64,
    /// How many conversations still differ, because the log itself is wrong or no repair was requested.
    pub left: u64,
}

/// Whether to repair differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Only report them.
    No,
    /// Repair everything that follows from the log.
    WhatFollows,
}

/// Checks every conversation. Reports each finding, and the progress in conversations and entries.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub async fn verify(
    conversations: &dyn ConversationStore,
    maintenance: &dyn Maintenance,
    repair: Repair,
    mut report_finding: impl FnMut(&Finding),
    mut progress: impl FnMut(&Report),
) -> Result<Report, StoreError> {
    let (mut report, mut after) = (Report::default(), None);
    loop {
        let page = maintenance.conversations_after(after, MAX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(report) };
        let mut before = after.replace(last.conversation.id);
        for stored in page {
            let id = stored.conversation.id;
            let checked = check(conversations, maintenance, before, stored).await?;
            before = Some(id);
            report.conversations += 1;
            report.entries += checked.expected.last_seq.get();
            progress(&report);
            if checked.findings.is_empty() {
                continue;
            }
            report.found += checked.findings.len() as u64;
            for difference in &checked.findings {
                report_finding(&Finding { conversation: id, difference: difference.clone() });
            }
            let is_sound = checked.findings.iter().all(Difference::can_be_repaired);
            let is_repaired = match repair {
                Repair::No => false,
                Repair::WhatFollows => repair_conversation(conversations, maintenance, &checked).await?,
            };
            report.repaired += u64::from(is_repaired && checked.findings.iter().any(Difference::can_be_repaired));
            report.left += u64::from(!is_sound || !is_repaired);
        }
    }
}

impl Difference {
    /// Whether the correct value follows from the log.
    const fn can_be_repaired(&self) -> bool {
        match self {
            Self::Hole { .. } | Self::Backwards { .. } => false,
            Self::Revision { .. } | Self::Projection { .. } | Self::Copies { .. } => true,
        }
    }
}

/// Repairs what follows from the log. Returns whether nothing differs any more.
async fn repair_conversation(
    conversations: &dyn ConversationStore,
    maintenance: &dyn Maintenance,
    checked: &Checked,
) -> Result<bool, StoreError> {
    let Checked { stored, expected, findings } = checked;
    // Entries were appended meanwhile, so the stored state may be correct.
    let is_wrong = findings.iter().any(|found| matches!(found, Difference::Projection { .. }));
    let summary = !is_wrong || maintenance.repair(stored, expected).await?;
    let revisions = revisions::repair(conversations, maintenance, stored.conversation.id, findings).await?;
    // Checked again, now that edits and deletions are correct.
    let wrong_copies = maintenance.wrong_copies(expected).await?;
    maintenance.repair_copies(expected, &wrong_copies).await?;
    Ok(summary && revisions)
}
