//! What was acknowledged, what is kept, and what everybody heard, held against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Acked, Naming};
use super::talker::{Face, Talker};
use crate::domain::{Conversation, Entry, Seq, UserId};
use crate::store::{ConversationStore, ListFor, MAX_PAGE, OpenStore, StoreError};
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
    const fn of(says: &'static str) -> Self {
        Self { says, checked: 0, broken: Vec::new() }
    }

    fn check(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds {
            self.broken.push(broken());
        }
    }
}

/// What the store holds of one conversation.
struct Kept {
    conversation: Conversation,
    /// By seq: each message's number and text.
    messages: BTreeMap<u64, (u64, String)>,
}

impl Kept {
    /// The messages as a client names them.
    fn named(&self, naming: Naming) -> BTreeMap<u64, String> {
        let name = |(seq, (number, text)): (&u64, &(u64, String))| {
            (if naming == Naming::Seq { *seq } else { *number }, text.clone())
        };
        self.messages.iter().map(name).collect()
    }

    /// What a face calls the conversation.
    fn name(&self, face: Face) -> String {
        match face {
            Face::Socketio | Face::Polling | Face::Classic => self.conversation.id.to_string(),
            Face::Storefront => uuid::Uuid::from_u128(self.conversation.uuid).hyphenated().to_string(),
            Face::Drivecash => self.conversation.number.to_string(),
        }
    }
}

/// Reads the store, which no server uses any more, and judges.
pub(super) async fn judge(store: &OpenStore, agent: UserId, talkers: &[Talker]) -> anyhow::Result<Vec<Promise>> {
    let kept = read(&*store.stores().conversations, agent).await?;
    let mut promises = vec![acknowledged_is_kept(&kept, talkers), kept_once(&kept, talkers)];
    promises.extend(transcripts(&kept, talkers));
    promises.push(as_it_went(talkers));
    promises.push(projections(store).await?);
    Ok(promises)
}

async fn read(store: &dyn ConversationStore, agent: UserId) -> Result<Vec<Kept>, StoreError> {
    let mut all = Vec::new();
    for summary in store.list(ListFor::Agent(agent), MAX_PAGE).await? {
        let mut kept = Kept { conversation: summary.conversation, messages: BTreeMap::new() };
        let mut after = Seq::ZERO;
        loop {
            let page: Vec<Entry> = store.entries_after(summary.conversation.id, after, MAX_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            for entry in &page {
                if let Some(message) = entry.message() {
                    kept.messages.insert(entry.seq.get(), (message.number, message.original.as_str().to_owned()));
                }
            }
        }
        all.push(kept);
    }
    Ok(all)
}

fn acknowledged_is_kept(kept: &[Kept], talkers: &[Talker]) -> Promise {
    let mut promise = Promise::of("what was acknowledged is kept, as it was said");
    for talker in talkers {
        for Acked { conversation, number, text } in &talker.ledger.acked {
            let there = kept.iter().find(|kept| kept.name(talker.face) == *conversation).and_then(|kept| {
                let mut all = kept.messages.iter();
                match talker.ledger.naming {
                    Naming::Seq => kept.messages.get(number),
                    Naming::Number => all.find(|(_, (known, _))| known == number).map(|(_, message)| message),
                }
            });
            let is_kept = there.is_some_and(|(_, kept)| kept == text);
            promise.check(is_kept, || format!("{}: {conversation}/{number} {text:?}", talker.name));
        }
        for (text, _) in &talker.unacked {
            promise.check(false, || format!("{}: never answered: {text:?}", talker.name));
        }
    }
    promise
}

fn kept_once(kept: &[Kept], talkers: &[Talker]) -> Promise {
    let mut promise = Promise::of("everything is kept once, and was said by somebody");
    let sent: BTreeSet<&String> = talkers.iter().flat_map(|talker| &talker.ledger.sent).collect();
    let mut seen = BTreeSet::new();
    for (number, text) in kept.iter().flat_map(|kept| kept.messages.values()) {
        promise.check(seen.insert(text), || format!("kept again as {number}: {text:?}"));
        promise.check(sent.contains(text), || format!("nobody said {text:?}"));
    }
    promise
}

fn transcripts(kept: &[Kept], talkers: &[Talker]) -> [Promise; 2] {
    let mut equal = Promise::of("everybody's transcript is the log, whole and in order");
    let mut private = Promise::of("nobody heard what is not theirs");
    for talker in talkers {
        for kept in kept {
            let name = kept.name(talker.face);
            let me = talker.me.id.parse::<UserId>().ok();
            let is_theirs =
                me.is_some_and(|me| kept.conversation.members.side_of(me, talker.me.role.is_agent()).is_some());
            let heard = talker.ledger.heard.get(&name);
            if !is_theirs {
                private.check(heard.is_none(), || format!("{} heard of {name}", talker.name));
                continue;
            }
            // In the portal, an agent is in one room.
            if talker.room.as_ref().is_some_and(|room| *room != name) {
                continue;
            }
            let mut expected = kept.named(talker.ledger.naming);
            let mut heard = heard.cloned().unwrap_or_default();
            if talker.face == Face::Classic {
                // It is not told again what it said itself.
                expected.retain(|_, text| !talker.ledger.sent.contains(text));
                heard.retain(|_, text| !talker.ledger.sent.contains(text));
            }
            equal.checked += expected.len() as u64;
            for (number, text) in &expected {
                match heard.remove(number) {
                    None => equal.broken.push(format!("{} never heard {name}/{number} {text:?}", talker.name)),
                    Some(other) if other != *text => {
                        equal.broken.push(format!("{} heard {name}/{number} as {other:?}", talker.name));
                    }
                    Some(_) => {}
                }
            }
            for (number, text) in heard {
                equal.broken.push(format!("{} heard {name}/{number} {text:?}, which is not kept", talker.name));
            }
        }
    }
    [equal, private]
}

fn as_it_went(talkers: &[Talker]) -> Promise {
    let mut promise = Promise::of("on every connection: in order, nothing twice, no wrong answer");
    for talker in talkers {
        promise.checked += talker.ledger.connects;
        promise.broken.extend(talker.ledger.wrong.iter().map(|wrong| format!("{}: {wrong}", talker.name)));
    }
    promise
}

/// No holes in the logs, and every projection as the log says.
async fn projections(store: &OpenStore) -> anyhow::Result<Promise> {
    let mut promise = Promise::of("no log has a hole; unread counts, lists and receipts follow from it");
    let mut broken = Vec::new();
    let tell = |finding: &crate::verify::Finding| broken.push(finding.to_string());
    let upkeep = store.upkeep()?;
    let report = verify(&*store.stores().conversations, &*upkeep, Repair::No, tell, |_| ()).await?;
    promise.checked = report.entries;
    promise.broken = broken;
    Ok(promise)
}
