//! Checks one conversation, which may be written to meanwhile.

use std::time::Duration;

use super::Difference;
use super::revisions::Revisions;
use crate::domain::{ConversationId, Replay, Seq, Summary};
use crate::store::{ConversationStore, MAX_PAGE, Maintenance, StoreError};

/// How often a conversation that differs is looked at before that is told, in case it is being written to: if nothing is written
/// meanwhile, and if something is.
const LOOKS: u32 = 3;
const BUSY_LOOKS: u32 = 10;

/// How long to wait before that.
const PAUSE: Duration = Duration::from_millis(100);

/// What was seen of a conversation.
pub(super) struct Looked {
    pub(super) kept: Summary,
    pub(super) right: Summary,
    pub(super) findings: Vec<Difference>,
}

/// Looks at one conversation, again if it may have been written to meanwhile. `before` is the one before it.
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

/// What one look has shown.
struct Look {
    /// How far what is kept had got, and the log.
    stood_at: (Seq, Seq),
    right: Summary,
    /// What no writing explains.
    wrong: Vec<Difference>,
    /// What may be right in a moment, if somebody writes.
    fleeting: Vec<Difference>,
    /// Messages whose copies may be so.
    copies: Vec<Seq>,
}

impl Look {
    fn told(self, kept: Summary) -> Looked {
        let copies = self.copies.first().map(|first| Difference::Copies { count: self.copies.len(), first: *first });
        let findings = self.wrong.into_iter().chain(self.fleeting).chain(copies).collect();
        Looked { kept, right: self.right, findings }
    }
}

/// Of what may be right in a moment, only that is shown which the `last` look has shown, too.
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
    // Copies show what became of messages, so they are looked at once that is right.
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
    /// After the last entry that what is kept knows of.
    then: Summary,
    /// After the last entry of all.
    right: Summary,
    /// What is wrong with the log itself.
    wrong: Vec<Difference>,
    /// Where something else is kept of what became of messages.
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
        // Up to there first.
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

/// How matters stand here, with the last message.
async fn summarize(conversations: &dyn ConversationStore, replay: &Replay) -> Result<Summary, StoreError> {
    let mut summary = replay.summary().clone();
    if let Some(last) = replay.last_spoken() {
        let text = conversations.entries_at(summary.conversation.id, &[last.text]).await?.pop();
        summary.last_message = text.and_then(|entry| last.with_text(&entry));
    }
    Ok(summary)
}

/// Every projection that is not the same. Texts are not shown, only whether they differ.
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
        ("what the customer has read", kept.sides[0].read.to_string(), right.sides[0].read.to_string()),
        ("what the customer has not read", kept.sides[0].unread.to_string(), right.sides[0].unread.to_string()),
        ("what the desk has read", kept.sides[1].read.to_string(), right.sides[1].read.to_string()),
        ("what the desk has not read", kept.sides[1].unread.to_string(), right.sides[1].unread.to_string()),
    ];
    let differing = fields.into_iter().filter(|(_, kept, right)| kept != right);
    let mut found: Vec<_> =
        differing.map(|(field, kept, right)| Difference::Projection { field, kept, right }).collect();
    if found.is_empty() && kept.last_message != right.last_message {
        let (kept, right) = ("another".into(), "otherwise".into());
        found.push(Difference::Projection { field: "the last message's text or side", kept, right });
    }
    found
}
