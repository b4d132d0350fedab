//! What was acknowledged, what is kept, and what everybody heard, held against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Acked, Naming, Revised};
use super::logs::{Kept, Logs};
use super::receipts::receipts;
use super::talker::{Face, Talker};
use crate::domain::UserId;
use crate::store::OpenStore;
use crate::verify::{Repair, verify};

/// One promise, and where it was broken.
#[derive(Debug, Clone)]
pub struct Promise {
    /// What was promised.
    pub says: &'static str,
    /// How often it was put to the test.
    pub checked: u64,
    /// Where it was broken: empty, or the proof has failed.
    pub broken: Vec<String>,
}

impl Promise {
    pub(super) const fn of(says: &'static str) -> Self {
        Self { says, checked: 0, broken: Vec::new() }
    }

    pub(super) fn check(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds {
            self.broken.push(broken());
        }
    }
}

/// Reads the store, which no server uses any more, and judges.
pub(super) async fn judge(store: &OpenStore, agent: UserId, talkers: &[Talker]) -> anyhow::Result<Vec<Promise>> {
    let logs = Logs::read(&*store.stores().conversations, agent).await?;
    let mut promises = vec![acknowledged_is_kept(&logs, talkers), kept_once(&logs, talkers)];
    promises.extend(transcripts(&logs, talkers));
    promises.push(as_it_went(talkers));
    promises.push(receipts(&logs, talkers));
    promises.push(projections(store).await?);
    promises.push(everybody_was_heard(talkers));
    Ok(promises)
}

fn acknowledged_is_kept(logs: &Logs, talkers: &[Talker]) -> Promise {
    let mut promise = Promise::of("what was acknowledged is kept, as it was said");
    for talker in talkers {
        let log = |name: &str| logs.called(talker.face, name);
        for Acked { conversation, number, text } in &talker.ledger.acked {
            let there = log(conversation).and_then(|kept| kept.message(talker.ledger.naming, *number));
            let is_kept = there.is_some_and(|kept| kept.texts.first() == Some(text));
            promise.check(is_kept, || format!("{}: {conversation}/{number} {text:?}", talker.name));
        }
        for Revised { conversation, seq, message, text } in &talker.ledger.revised {
            let there = log(conversation).and_then(|kept| kept.changes.get(seq));
            let is_kept = there.is_some_and(|(id, now)| id == message && now == text);
            promise.check(is_kept, || format!("{}: {conversation}/{seq} changes {message}", talker.name));
        }
        for ask in &talker.unanswered {
            promise.check(false, || format!("{}: never answered: {ask:?}", talker.name));
        }
    }
    promise
}

fn kept_once(logs: &Logs, talkers: &[Talker]) -> Promise {
    let mut promise = Promise::of("everything is kept once, and was said by somebody");
    let sent: BTreeSet<&String> = talkers.iter().flat_map(|talker| &talker.ledger.sent).collect();
    let mut seen = BTreeSet::new();
    let said = logs.all.iter().flat_map(|kept| kept.messages.values());
    for text in said.flat_map(|message| &message.texts) {
        promise.check(seen.insert(text), || format!("kept again: {text:?}"));
        promise.check(sent.contains(text), || format!("nobody said {text:?}"));
    }
    promise
}

fn transcripts(logs: &Logs, talkers: &[Talker]) -> [Promise; 2] {
    let mut equal = Promise::of("everybody's transcript is the log, whole and in order");
    let mut private = Promise::of("nobody heard what is not theirs");
    for talker in talkers {
        for kept in &logs.all {
            let name = kept.name(talker.face);
            if kept.side_of(talker).is_none() {
                let heard = talker.ledger.heard.contains_key(name);
                private.check(!heard, || format!("{} heard of {name}", talker.name));
            } else if talker.room.as_ref().is_none_or(|room| *room == name) {
                // In the portal, an agent is in one room.
                compare(kept, talker, name, &mut equal);
            }
        }
    }
    [equal, private]
}

/// Holds what a client heard of a conversation against what is kept of it.
fn compare(kept: &Kept, talker: &Talker, name: &str, promise: &mut Promise) {
    let mut heard = talker.ledger.heard.get(name).cloned().unwrap_or_default();
    let hears_changes = matches!(talker.face, Face::Socketio | Face::Polling);
    for (seq, message) in &kept.messages {
        let number = if talker.ledger.naming == Naming::Seq { *seq } else { message.number };
        let said = heard.remove(&number);
        // These are not told again what their person said, on whatever tab.
        let misses_own = match talker.face {
            Face::Classic => true,
            Face::Page => !talker.screen.is_exact,
            Face::Socketio | Face::Polling | Face::Storefront | Face::Drivecash => false,
        };
        if misses_own && message.author.to_string() == talker.me.id {
            continue;
        }
        let holds = match &said {
            // The others are shown changes when they ask for the history, and what was deleted not at all.
            Some(Some(text)) if !hears_changes => message.texts.contains(text),
            Some(now) => *now == message.now,
            None => !hears_changes && message.now.is_none(),
        };
        let now = &message.now;
        promise.check(holds, || format!("{} heard {name}/{number} as {said:?}, not {now:?}", talker.name));
    }
    for (number, text) in heard {
        promise.broken.push(format!("{} heard {name}/{number} {text:?}, which is not kept", talker.name));
    }
}

fn as_it_went(talkers: &[Talker]) -> Promise {
    let mut promise = Promise::of("on every connection: in order, nothing twice, no wrong answer");
    for talker in talkers {
        promise.checked += talker.ledger.connects;
        promise.broken.extend(talker.ledger.wrong.iter().map(|wrong| format!("{}: {wrong}", talker.name)));
    }
    promise
}

/// What is not tried is not proven.
fn everybody_was_heard(talkers: &[Talker]) -> Promise {
    let mut promise = Promise::of("over each face, something was acknowledged");
    let mut acknowledged: BTreeMap<&str, usize> = BTreeMap::new();
    for talker in talkers {
        *acknowledged.entry(talker.face.word()).or_default() += talker.ledger.acked.len();
    }
    for (face, acknowledged) in acknowledged {
        promise.check(acknowledged > 0, || format!("{face}: nothing"));
    }
    promise
}

/// No holes in the logs, and every projection as the log says.
async fn projections(store: &OpenStore) -> anyhow::Result<Promise> {
    let mut promise = Promise::of("no log has a hole; unread counts and lists follow from it");
    let mut broken = Vec::new();
    let tell = |finding: &crate::verify::Finding| broken.push(finding.to_string());
    let maintenance = store.maintenance()?;
    let report = verify(&*store.stores().conversations, &*maintenance, Repair::No, tell, |_| ()).await?;
    promise.checked = report.entries;
    promise.broken = broken;
    Ok(promise)
}
