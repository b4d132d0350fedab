//! Checks one conversation, which may be written to meanwhile.

use std::time::Duration;

use super::Difference;
use super::revisions::Revisions;
use crate::domain::{ConversationId, Replay, Seq, Summary};
use crate::store::{ConversationStore, MAX_PAGE, Maintenance, StoreError};

/// How often a conversation that differs is checked before it is reported, since it may be written to meanwhile: if its log stays the
/// same, and if it grows.
const LOOKS: u32 = 3;
const BUSY_LOOKS: u32 = 10;

/// How long to wait between two checks.
const PAUSE: Duration = Duration::from_millis(100);

/// The result for one conversation.
pub(super) struct Looked {
    pub(super) kept: Summary,
    pub(super) right: Summary,
    pub(super) findings: Vec<Difference>,
}

/// Checks one conversation, repeatedly if it may have been written to meanwhile. `before` is the one before it.
pub(super) async fn look(
    conversations: &dyn ConversationStore,
    maintenance: &dyn Maintenance,
    before: Option<ConversationId>,
    mut kept: Summary,
) -> Result<Looked, StoreError> {
    let (mut looks, mut quiet_looks) = (0, 0);
    let mut last_time: Option<Look> = None;
    loop {
        let this = look_once(conversations, maintenance, &kept, last_time.as_ref()).await?;
        looks += 1;
        let is_quiet = last_time.is_none_or(|last| last.stood_at == this.stood_at);
        quiet_looks = if is_quiet { quiet_looks + 1 } else { 1 };
        let is_sound = this.wrong.is_empty() && this.fleeting.is_empty() && this.copies.is_empty();
        let is_enough = quiet_looks == LOOKS || looks == BUSY_LOOKS || (!this.wrong.is_empty() && looks == LOOKS);
        if is_sound || is_enough {
            return Ok(this.told(kept));
        }
        last_time = Some(this);
        tokio::time::sleep(PAUSE).await;
        if let Some(again) = maintenance.conversations_after(before, 1).await?.pop()
            && again.conversation.id == kept.conversation.id
        {
            kept = again;
        }
    }
}

/// The result of one check.
struct Look {
    /// The last seq of the stored state, and of the log.
    stood_at: (Seq, Seq),
    right: Summary,
    /// Differences that no concurrent write explains.
    wrong: Vec<Difference>,
    /// Differences that a concurrent write may explain.
    fleeting: Vec<Difference>,
    /// Messages whose copies differ, which a concurrent write may explain.
    copies: Vec<Seq>,
}

impl Look {
    fn told(self, kept: Summary) -> Looked {
        let copies = self.copies.first().map(|first| Difference::Copies { count: self.copies.len(), first: *first });
        let findings = self.wrong.into_iter().chain(self.fleeting).chain(copies).collect();
        Looked { kept, right: self.right, findings }
    }
}

/// Of the differences that a concurrent write may explain, reports only those that the `last` check has found as well.
async fn look_once(
    conversations: &dyn ConversationStore,
    maintenance: &dyn Maintenance,
    kept: &Summary,
    last: Option<&Look>,
) -> Result<Look, StoreError> {
    let Recomputed { then, right, mut wrong, revisions: mut fleeting } = recompute(conversations, kept).await?;
    wrong.extend(differences(kept, &then));
    if wrong.is_empty() {
        fleeting.extend(differences(kept, &right));
    }
    // Copies have edits and deletions, so they are checked once these are right.
    let mut copies = Vec::new();
    if !fleeting.iter().any(|found| matches!(found, Difference::Revision { .. })) {
        copies = maintenance.wrong_copies(&right).await?;
    }
    if let Some(last) = last {
        fleeting.retain(|found| last.fleeting.contains(found));
        copies.retain(|message| last.copies.contains(message));
    }
    Ok(Look { stood_at: (kept.last_seq, right.last_seq), right, wrong, fleeting, copies })
}

/// What follows from a log.
struct Recomputed {
    /// After the last entry that is part of the stored state.
    then: Summary,
    /// After the last entry of the log.
    right: Summary,
    /// What is wrong with the log itself.
    wrong: Vec<Difference>,
    /// Messages whose stored edit or deletion differs from the log.
    revisions: Vec<Difference>,
}

async fn recompute(conversations: &dyn ConversationStore, kept: &Summary) -> Result<Recomputed, StoreError> {
    let id = kept.conversation.id;
    let (mut replay, mut revisions) = (Replay::opened(kept.conversation), Revisions::default());
    let (mut then, mut wrong) = (None, Vec::new());
    loop {
        let last = replay.summary().last_seq;
        if last == kept.last_seq {
            then = Some(summarize(conversations, &replay).await?);
        }
        // Replays the entries up to there first.
        let until_then = kept.last_seq.get().checked_sub(last.get()).filter(|count| *count > 0);
        let count =
            until_then.and_then(|count| usize::try_from(count).ok()).map_or(MAX_PAGE, |count| count.min(MAX_PAGE));
        let page = conversations.entries_after(id, last, count).await?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            let expected = replay.summary().last_seq.next();
            if entry.seq != expected {
                wrong.push(Difference::Hole { missing: expected });
            }
            if entry.seq > Seq::new(1) && !entry.at.may_follow(replay.summary().updated_at) {
                wrong.push(Difference::Backwards { seq: entry.seq });
            }
            replay.apply(&entry);
            revisions.apply(&entry);
        }
    }
    let right = summarize(conversations, &replay).await?;
    let then = then.unwrap_or_else(|| right.clone());
    Ok(Recomputed { then, right, wrong, revisions: revisions.differences().collect() })
}

/// The state at this point of the log, with the last message.
async fn summarize(conversations: &dyn ConversationStore, replay: &Replay) -> Result<Summary, StoreError> {
    let mut summary = replay.summary().clone();
    if let Some(last) = replay.last_spoken() {
        let text = conversations.entries_at(summary.conversation.id, &[last.text]).await?.pop();
        summary.last_message = text.and_then(|entry| last.with_text(&entry));
    }
    Ok(summary)
}

/// Every field that differs. Texts are never shown.
fn differences(kept: &Summary, right: &Summary) -> Vec<Difference> {
    let last = |summary: &Summary| {
        summary
            .last_message
            .as_ref()
            .map_or("none".into(), |last| format!("entry {} at {}", last.seq, last.at.millis()))
    };
    let fields: [(&'static str, String, String); 8] = [
        ("the last seq", kept.last_seq.to_string(), right.last_seq.to_string()),
        ("the status", kept.status.word().into(), right.status.word().into()),
        ("the time of the last entry", kept.updated_at.millis().to_string(), right.updated_at.millis().to_string()),
        ("the last message", last(kept), last(right)),
        ("the customer's read mark", kept.sides[0].read.to_string(), right.sides[0].read.to_string()),
        ("the customer's unread count", kept.sides[0].unread.to_string(), right.sides[0].unread.to_string()),
        ("the desk's read mark", kept.sides[1].read.to_string(), right.sides[1].read.to_string()),
        ("the desk's unread count", kept.sides[1].unread.to_string(), right.sides[1].unread.to_string()),
    ];
    let differing = fields.into_iter().filter(|(_, kept, right)| kept != right);
    let mut found: Vec<_> =
        differing.map(|(field, kept, right)| Difference::Projection { field, kept, right }).collect();
    if found.is_empty() && kept.last_message != right.last_message {
        let (kept, right) = ("wrong".into(), "otherwise".into());
        found.push(Difference::Projection { field: "the last message's text or side", kept, right });
    }
    found
}
