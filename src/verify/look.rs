//! A look at one conversation, which may be written to meanwhile.

use std::time::Duration;

use super::Difference;
use super::revisions::Revisions;
use crate::domain::{ConversationId, Replay, Seq, Summary};
use crate::store::{ConversationStore, MAX_PAGE, StoreError, Upkeep};

/// How often a conversation that differs is looked at before that is told: if what is kept is wrong for where it stands in the log,
/// and if somebody may just be writing, so that it will be right in a moment.
const LOOKS: u32 = 3;
const LOOKS_AT_NEWS: u32 = 10;

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
    upkeep: &dyn Upkeep,
    before: Option<ConversationId>,
    mut kept: Summary,
) -> Result<Looked, StoreError> {
    let (mut looks, mut last_time) = (0, None::<Vec<Difference>>);
    loop {
        let log = recompute(conversations, &kept).await?;
        let (mut wrong, mut news) = (log.wrong, log.revisions);
        wrong.extend(differences(&kept, &log.then));
        if wrong.is_empty() {
            news.extend(differences(&kept, &log.right));
        }
        // Copies show what became of messages, so they are looked at once that is right.
        if !news.iter().any(|found| matches!(found, Difference::Revision { .. })) {
            let copies = upkeep.wrong_copies(&log.right).await?;
            news.extend(copies.first().map(|first| Difference::Copies { count: copies.len(), first: *first }));
        }
        if let Some(last_time) = &last_time {
            news.retain(|found| last_time.iter().any(|known| known.is_still(found)));
        }
        looks += 1;
        let enough = if wrong.is_empty() { LOOKS_AT_NEWS } else { LOOKS };
        if (wrong.is_empty() && news.is_empty()) || looks == enough {
            wrong.extend(news);
            return Ok(Looked { kept, right: log.right, findings: wrong });
        }
        last_time = Some(news);
        tokio::time::sleep(PAUSE).await;
        if let Some(again) = upkeep.conversations_after(before, 1).await?.pop()
            && again.conversation.id == kept.conversation.id
        {
            kept = again;
        }
    }
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
            if entry.seq > Seq::new(1) && entry.at < replay.summary().updated_at {
                wrong.push(Difference::Backwards { seq: entry.seq });
            }
            replay.follow(&entry);
            revisions.follow(&entry);
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
