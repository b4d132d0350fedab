//! Checks one conversation, which may be written to meanwhile.

use std::time::Duration;

use super::Difference;
use super::revisions::Revisions;
use crate::domain::{ConversationId, Replay, Seq, Summary};
use crate::store::{ConversationStore, MAX_PAGE, Maintenance, StoreError};

/// How often a conversation that differs is checked before it is reported, since it may be written to meanwhile: if its log stays the
/// same, and if it grows.
const ATTEMPTS: u32 = 3;
const BUSY_ATTEMPTS: u32 = 10;

/// How long to wait between two checks.
const PAUSE: Duration = Duration::from_millis(100);

/// The result for one conversation.
pub(super) struct Checked {
    pub(super) stored: Summary,
    pub(super) expected: Summary,
    pub(super) findings: Vec<Difference>,
}

/// Checks one conversation, repeatedly if it may have been written to meanwhile. `before` is the one before it.
pub(super) async fn check(
    conversations: &dyn ConversationStore,
    maintenance: &dyn Maintenance,
    before: Option<ConversationId>,
    mut stored: Summary,
) -> Result<Checked, StoreError> {
    let (mut attempts, mut quiet_attempts) = (0, 0);
    let mut last_time: Option<Attempt> = None;
    loop {
        let this = check_once(conversations, maintenance, &stored, last_time.as_ref()).await?;
        attempts += 1;
        let is_quiet = last_time.is_none_or(|last| last.last_seqs == this.last_seqs);
        quiet_attempts = if is_quiet { quiet_attempts + 1 } else { 1 };
        let is_sound = this.wrong.is_empty() && this.fleeting.is_empty() && this.copies.is_empty();
        let is_enough =
            quiet_attempts == ATTEMPTS || attempts == BUSY_ATTEMPTS || (!this.wrong.is_empty() && attempts == ATTEMPTS);
        if is_sound || is_enough {
            return Ok(this.into_checked(stored));
        }
        last_time = Some(this);
        tokio::time::sleep(PAUSE).await;
        if let Some(again) = maintenance.conversations_after(before, 1).await?.pop()
            && again.conversation.id == stored.conversation.id
        {
            stored = again;
        }
    }
}

/// The result of one check.
struct Attempt {
    /// The last seq of the stored state, and of the log.
    last_seqs: (Seq, Seq),
    expected: Summary,
    /// Differences that no concurrent write explains.
    wrong: Vec<Difference>,
    /// Differences that a concurrent write may explain.
    fleeting: Vec<Difference>,
    /// Messages whose copies differ, which a concurrent write may explain.
    copies: Vec<Seq>,
}

impl Attempt {
    fn into_checked(self, stored: Summary) -> Checked {
        let copies = self.copies.first().map(|first| Difference::Copies { count: self.copies.len(), first: *first });
        let findings = self.wrong.into_iter().chain(self.fleeting).chain(copies).collect();
        Checked { stored, expected: self.expected, findings }
    }
}

/// Of the differences that a concurrent write may explain, reports only those that the `last` check has found as well.
async fn check_once(
    conversations: &dyn ConversationStore,
    maintenance: &dyn Maintenance,
    stored: &Summary,
    last: Option<&Attempt>,
) -> Result<Attempt, StoreError> {
    let Recomputed { then, expected, mut wrong, revisions: mut fleeting } = recompute(conversations, stored).await?;
    wrong.extend(differences(stored, &then));
    if wrong.is_empty() {
        fleeting.extend(differences(stored, &expected));
    }
    // Copies have edits and deletions, so they are checked once these are correct.
    let mut copies = Vec::new();
    if !fleeting.iter().any(|found| matches!(found, Difference::Revision { .. })) {
        copies = maintenance.wrong_copies(&expected).await?;
    }
    if let Some(last) = last {
        fleeting.retain(|found| last.fleeting.contains(found));
        copies.retain(|message| last.copies.contains(message));
    }
    Ok(Attempt { last_seqs: (stored.last_seq, expected.last_seq), expected, wrong, fleeting, copies })
}

/// What follows from a log.
struct Recomputed {
    /// After the last entry that is part of the stored state.
    then: Summary,
    /// After the last entry of the log.
    expected: Summary,
    /// What is wrong with the log itself.
    wrong: Vec<Difference>,
    /// Messages whose stored edit or deletion differs from the log.
    revisions: Vec<Difference>,
}

async fn recompute(conversations: &dyn ConversationStore, stored: &Summary) -> Result<Recomputed, StoreError> {
    let id = stored.conversation.id;
    let (mut replay, mut revisions) = (Replay::opened(stored.conversation), Revisions::default());
    let (mut then, mut wrong) = (None, Vec::new());
    loop {
        let last = replay.summary().last_seq;
        if last == stored.last_seq {
            then = Some(summarize(conversations, &replay).await?);
        }
        // Replays the entries up to there first.
        let until_then = stored.last_seq.get().checked_sub(last.get()).filter(|count| *count > 0);
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
    let expected = summarize(conversations, &replay).await?;
    let then = then.unwrap_or_else(|| expected.clone());
    Ok(Recomputed { then, expected, wrong, revisions: revisions.differences().collect() })
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
fn differences(stored: &Summary, expected: &Summary) -> Vec<Difference> {
    let last = |summary: &Summary| {
        summary
            .last_message
            .as_ref()
            .map_or("none".into(), |last| format!("entry {} at {}", last.seq, last.at.millis()))
    };
    let fields: [(&'static str, String, String); 8] = [
        ("the last seq", stored.last_seq.to_string(), expected.last_seq.to_string()),
        ("the status", stored.status.word().into(), expected.status.word().into()),
        (
            "the time of the last entry",
            stored.updated_at.millis().to_string(),
            expected.updated_at.millis().to_string(),
        ),
        ("the last message", last(stored), last(expected)),
        ("the customer's read mark", stored.sides[0].read.to_string(), expected.sides[0].read.to_string()),
        ("the customer's unread count", stored.sides[0].unread.to_string(), expected.sides[0].unread.to_string()),
        ("the desk's read mark", stored.sides[1].read.to_string(), expected.sides[1].read.to_string()),
        ("the desk's unread count", stored.sides[1].unread.to_string(), expected.sides[1].unread.to_string()),
    ];
    let differing = fields.into_iter().filter(|(_, stored, expected)| stored != expected);
    let mut found: Vec<_> =
        differing.map(|(field, stored, expected)| Difference::Projection { field, stored, expected }).collect();
    if found.is_empty() && stored.last_message != expected.last_message {
        let (stored, expected) = ("wrong".into(), "otherwise".into());
        found.push(Difference::Projection { field: "the last message's text or side", stored, expected });
    }
    found
}
