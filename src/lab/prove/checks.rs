//! Compares what was acknowledged, what is stored and what every client received.

use std::collections::{BTreeMap, BTreeSet};

use super::actor::{Actor, Face};
use super::logs::{Logs, StoredConversation};
use super::receipts::receipts;
use super::transcript::{Acked, Naming, Revised};
use crate::domain::UserId;
use crate::store::OpenStore;
use crate::verify::{Repair, verify};

/// The invariant that fails if a run was too short.
pub(super) const COVERAGE: &str = "every face had messages acknowledged";

/// An invariant and its violations.
#[derive(Debug, Clone)]
pub struct Invariant {
    /// What has to hold.
    pub says: &'static str,
    /// Number of checks.
    pub checked: u64,
    /// Violations.
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

/// Checks all invariants. No server may use the store any more.
pub(super) async fn check_all(store: &OpenStore, agent: UserId, actors: &[Actor]) -> anyhow::Result<Vec<Invariant>> {
    let logs = Logs::read(&*store.stores().conversations, agent).await?;
    let mut invariants = vec![acknowledged_is_stored(&logs, actors), stored_once(&logs, actors)];
    invariants.extend(transcripts(&logs, actors));
    invariants.push(per_connection(actors));
    invariants.push(receipts(&logs, actors));
    invariants.push(projections(store).await?);
    invariants.push(every_face_was_used(actors));
    Ok(invariants)
}

fn acknowledged_is_stored(logs: &Logs, actors: &[Actor]) -> Invariant {
    let mut invariant = Invariant::of("acknowledged messages are stored, with their text");
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
        for request in &actor.unanswered {
            invariant.check(false, || format!("{}: never answered: {request:?}", actor.name));
        }
    }
    invariant
}

fn stored_once(logs: &Logs, actors: &[Actor]) -> Invariant {
    let mut invariant = Invariant::of("every message is stored once, and was sent by a client");
    let sent: BTreeSet<&String> = actors.iter().flat_map(|actor| &actor.transcript.sent).collect();
    let mut seen = BTreeSet::new();
    let said = logs.all.iter().flat_map(|kept| kept.messages.values());
    for text in said.flat_map(|message| &message.texts) {
        invariant.check(seen.insert(text), || format!("stored twice: {text:?}"));
        invariant.check(sent.contains(text), || format!("no client sent {text:?}"));
    }
    invariant
}

fn transcripts(logs: &Logs, actors: &[Actor]) -> [Invariant; 2] {
    let mut equal = Invariant::of("every client has the whole log, in order");
    let mut private = Invariant::of("no client received a conversation of others");
    for actor in actors {
        for kept in &logs.all {
            let name = kept.name(actor.face);
            if kept.side_of(actor).is_none() {
                let received = actor.transcript.texts.contains_key(name);
                private.check(!received, || format!("{} received {name}", actor.name));
            } else if actor.room.as_ref().is_none_or(|room| *room == name) {
                // An agent of the portal is in one room at a time.
                compare(kept, actor, name, &mut equal);
            }
        }
    }
    [equal, private]
}

/// Compares what a client received of a conversation with the log.
fn compare(kept: &StoredConversation, actor: &Actor, name: &str, invariant: &mut Invariant) {
    let mut received = actor.transcript.texts.get(name).cloned().unwrap_or_default();
    let receives_changes = matches!(actor.face, Face::Socketio | Face::Polling);
    for (seq, message) in &kept.messages {
        let number = if actor.transcript.naming == Naming::Seq { *seq } else { message.number };
        let said = received.remove(&number);
        // These do not receive their person's own messages again, whichever tab sent them.
        let misses_own = match actor.face {
            Face::Classic => true,
            Face::Page => !actor.screen.is_exact,
            Face::Socketio | Face::Polling | Face::Storefront | Face::Drivecash => false,
        };
        if misses_own && message.author.to_string() == actor.me.id {
            continue;
        }
        let holds = match &said {
            // The others see edits in the history only, and deleted messages not at all.
            Some(Some(text)) if !receives_changes => message.texts.contains(text),
            Some(now) => *now == message.now,
            None => !receives_changes && message.now.is_none(),
        };
        let now = &message.now;
        invariant.check(holds, || format!("{} received {name}/{number} as {said:?}, not {now:?}", actor.name));
    }
    for (number, text) in received {
        invariant.broken.push(format!("{} received {name}/{number} {text:?}, which is not stored", actor.name));
    }
}

fn per_connection(actors: &[Actor]) -> Invariant {
    let mut invariant = Invariant::of("per connection: in order, no duplicates, no wrong answer");
    for actor in actors {
        invariant.checked += actor.transcript.connects;
        invariant.broken.extend(actor.transcript.violations.iter().map(|found| format!("{}: {found}", actor.name)));
    }
    invariant
}

/// A face without traffic proves nothing.
fn every_face_was_used(actors: &[Actor]) -> Invariant {
    let mut invariant = Invariant::of(COVERAGE);
    let mut acknowledged: BTreeMap<&str, usize> = BTreeMap::new();
    for actor in actors {
        *acknowledged.entry(actor.face.word()).or_default() += actor.transcript.acked.len();
    }
    for (face, acknowledged) in acknowledged {
        invariant.check(acknowledged > 0, || format!("{face}: nothing"));
    }
    invariant
}

/// Logs have no gaps, and projections match them.
async fn projections(store: &OpenStore) -> anyhow::Result<Invariant> {
    let mut invariant = Invariant::of("logs have no gaps; unread counts and lists match them");
    let mut broken = Vec::new();
    let tell = |finding: &crate::verify::Finding| broken.push(finding.to_string());
    let maintenance = store.maintenance()?;
    let report = verify(&*store.stores().conversations, &*maintenance, Repair::No, tell, |_| ()).await?;
    invariant.checked = report.entries;
    invariant.broken = broken;
    Ok(invariant)
}
