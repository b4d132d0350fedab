//! What was acknowledged, what is kept, and what everybody heard, held against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::actor::{Actor, Face};
use super::logs::{Logs, StoredConversation};
use super::receipts::receipts;
use super::transcript::{Acked, Naming, Revised};
use crate::domain::UserId;
use crate::store::OpenStore;
use crate::verify::{Repair, verify};

/// One invariant, and where it was broken.
#[derive(Debug, Clone)]
pub struct Invariant {
    /// What must hold.
    pub says: &'static str,
    /// How often it was put to the test.
    pub checked: u64,
    /// Where it was broken: empty, or the proof has failed.
    pub broken: Vec<String>,
}

impl Invariant {
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
pub(super) async fn check_all(store: &OpenStore, agent: UserId, actors: &[Actor]) -> anyhow::Result<Vec<Invariant>> {
    let logs = Logs::read(&*store.stores().conversations, agent).await?;
    let mut invariants = vec![acknowledged_is_kept(&logs, actors), kept_once(&logs, actors)];
    invariants.extend(transcripts(&logs, actors));
    invariants.push(as_it_went(actors));
    invariants.push(receipts(&logs, actors));
    invariants.push(projections(store).await?);
    invariants.push(everybody_was_heard(actors));
    Ok(invariants)
}

fn acknowledged_is_kept(logs: &Logs, actors: &[Actor]) -> Invariant {
    let mut invariant = Invariant::of("what was acknowledged is kept, as it was said");
    for actor in actors {
        let log = |name: &str| logs.called(actor.face, name);
        for Acked { conversation, number, text } in &actor.transcript.acked {
            let there = log(conversation).and_then(|kept| kept.message(actor.transcript.naming, *number));
            let is_kept = there.is_some_and(|kept| kept.texts.first() == Some(text));
            invariant.check(is_kept, || format!("{}: {conversation}/{number} {text:?}", actor.name));
        }
        for Revised { conversation, seq, message, text } in &actor.transcript.revised {
            let there = log(conversation).and_then(|kept| kept.changes.get(seq));
            let is_kept = there.is_some_and(|(id, now)| id == message && now == text);
            invariant.check(is_kept, || format!("{}: {conversation}/{seq} changes {message}", actor.name));
        }
        for ask in &actor.unanswered {
            invariant.check(false, || format!("{}: never answered: {ask:?}", actor.name));
        }
    }
    invariant
}

fn kept_once(logs: &Logs, actors: &[Actor]) -> Invariant {
    let mut invariant = Invariant::of("everything is kept once, and was said by somebody");
    let sent: BTreeSet<&String> = actors.iter().flat_map(|actor| &actor.transcript.sent).collect();
    let mut seen = BTreeSet::new();
    let said = logs.all.iter().flat_map(|kept| kept.messages.values());
    for text in said.flat_map(|message| &message.texts) {
        invariant.check(seen.insert(text), || format!("kept again: {text:?}"));
        invariant.check(sent.contains(text), || format!("nobody said {text:?}"));
    }
    invariant
}

fn transcripts(logs: &Logs, actors: &[Actor]) -> [Invariant; 2] {
    let mut equal = Invariant::of("everybody's transcript is the log, whole and in order");
    let mut private = Invariant::of("nobody heard what is not theirs");
    for actor in actors {
        for kept in &logs.all {
            let name = kept.name(actor.face);
            if kept.side_of(actor).is_none() {
                let heard = actor.transcript.heard.contains_key(name);
                private.check(!heard, || format!("{} heard of {name}", actor.name));
            } else if actor.room.as_ref().is_none_or(|room| *room == name) {
                // In the portal, an agent is in one room.
                compare(kept, actor, name, &mut equal);
            }
        }
    }
    [equal, private]
}

/// Holds what a client heard of a conversation against what is kept of it.
fn compare(kept: &StoredConversation, actor: &Actor, name: &str, invariant: &mut Invariant) {
    let mut heard = actor.transcript.heard.get(name).cloned().unwrap_or_default();
    let hears_changes = matches!(actor.face, Face::Socketio | Face::Polling);
    for (seq, message) in &kept.messages {
        let number = if actor.transcript.naming == Naming::Seq { *seq } else { message.number };
        let said = heard.remove(&number);
        // These are not told again what their person said, on whatever tab.
        let misses_own = match actor.face {
            Face::Classic => true,
            Face::Page => !actor.screen.is_exact,
            Face::Socketio | Face::Polling | Face::Storefront | Face::Drivecash => false,
        };
        if misses_own && message.author.to_string() == actor.me.id {
            continue;
        }
        let holds = match &said {
            // The others are shown changes when they ask for the history, and what was deleted not at all.
            Some(Some(text)) if !hears_changes => message.texts.contains(text),
            Some(now) => *now == message.now,
            None => !hears_changes && message.now.is_none(),
        };
        let now = &message.now;
        invariant.check(holds, || format!("{} heard {name}/{number} as {said:?}, not {now:?}", actor.name));
    }
    for (number, text) in heard {
        invariant.broken.push(format!("{} heard {name}/{number} {text:?}, which is not kept", actor.name));
    }
}

fn as_it_went(actors: &[Actor]) -> Invariant {
    let mut invariant = Invariant::of("on every connection: in order, nothing twice, no wrong answer");
    for actor in actors {
        invariant.checked += actor.transcript.connects;
        invariant.broken.extend(actor.transcript.wrong.iter().map(|wrong| format!("{}: {wrong}", actor.name)));
    }
    invariant
}

/// What is not tried is not proven.
fn everybody_was_heard(actors: &[Actor]) -> Invariant {
    let mut invariant = Invariant::of("over each face, something was acknowledged");
    let mut acknowledged: BTreeMap<&str, usize> = BTreeMap::new();
    for actor in actors {
        *acknowledged.entry(actor.face.word()).or_default() += actor.transcript.acked.len();
    }
    for (face, acknowledged) in acknowledged {
        invariant.check(acknowledged > 0, || format!("{face}: nothing"));
    }
    invariant
}

/// No holes in the logs, and every projection as the log says.
async fn projections(store: &OpenStore) -> anyhow::Result<Invariant> {
    let mut invariant = Invariant::of("no log has a hole; unread counts and lists follow from it");
    let mut broken = Vec::new();
    let tell = |finding: &crate::verify::Finding| broken.push(finding.to_string());
    let maintenance = store.maintenance()?;
    let report = verify(&*store.stores().conversations, &*maintenance, Repair::No, tell, |_| ()).await?;
    invariant.checked = report.entries;
    invariant.broken = broken;
    Ok(invariant)
}
