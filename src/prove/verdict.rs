//! What was acknowledged, what is kept, and what everybody heard, held against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Acked, Naming, Revised, Told};
use super::talker::{Face, Talker};
use crate::domain::{Conversation, Entry, EntryKind, Seq, UserId};
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
    /// By seq.
    messages: BTreeMap<u64, KeptMessage>,
    /// By seq: the changes, each with the id of its message and what that says since.
    changes: BTreeMap<u64, (String, Option<String>)>,
    /// The seq of the newest entry.
    last: u64,
}

/// What the store holds of one message.
#[derive(Clone)]
struct KeptMessage {
    number: u64,
    /// Everything that it ever said: first what it said first.
    texts: Vec<String>,
    /// What it says now; `None` if it was deleted.
    now: Option<String>,
}

impl Kept {
    /// The messages as a client names them.
    fn named(&self, naming: Naming) -> BTreeMap<u64, &KeptMessage> {
        let name = |(seq, message): (&u64, _)| (*seq, message);
        match naming {
            Naming::Seq => self.messages.iter().map(name).collect(),
            Naming::Number => self.messages.values().map(|message| (message.number, message)).collect(),
        }
    }

    fn take_in(&mut self, entry: &Entry) {
        let seq = entry.seq.get();
        match &entry.kind {
            EntryKind::Message(message) => {
                let texts = vec![message.original.as_str().to_owned()];
                let now = message.text().map(|text| text.as_str().to_owned());
                self.messages.insert(seq, KeptMessage { number: message.number, texts, now });
            }
            EntryKind::Edited { target, body } => {
                self.changes.insert(seq, (target.id.to_string(), Some(body.as_str().to_owned())));
                if let Some(message) = self.messages.get_mut(&target.seq.get()) {
                    message.texts.push(body.as_str().to_owned());
                }
            }
            EntryKind::Deleted { target } => drop(self.changes.insert(seq, (target.id.to_string(), None))),
            EntryKind::Read { .. } | EntryKind::StatusChanged { .. } => {}
        }
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
    promises.push(receipts(&kept, talkers));
    promises.push(projections(store).await?);
    Ok(promises)
}

async fn read(store: &dyn ConversationStore, agent: UserId) -> Result<Vec<Kept>, StoreError> {
    let mut all = Vec::new();
    for summary in store.list(ListFor::Agent(agent), MAX_PAGE).await? {
        let (conversation, messages, changes) = (summary.conversation, BTreeMap::new(), BTreeMap::new());
        let mut kept = Kept { conversation, messages, changes, last: summary.last_seq.get() };
        let mut after = Seq::ZERO;
        loop {
            let page: Vec<Entry> = store.entries_after(summary.conversation.id, after, MAX_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            for entry in &page {
                kept.take_in(entry);
            }
        }
        all.push(kept);
    }
    Ok(all)
}

fn acknowledged_is_kept(kept: &[Kept], talkers: &[Talker]) -> Promise {
    let mut promise = Promise::of("what was acknowledged is kept, as it was said");
    for talker in talkers {
        let log = |name: &str| kept.iter().find(|kept| kept.name(talker.face) == *name);
        for Acked { conversation, number, text } in &talker.ledger.acked {
            let there = log(conversation).and_then(|kept| kept.named(talker.ledger.naming).get(number).copied());
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

fn kept_once(kept: &[Kept], talkers: &[Talker]) -> Promise {
    let mut promise = Promise::of("everything is kept once, and was said by somebody");
    let sent: BTreeSet<&String> = talkers.iter().flat_map(|talker| &talker.ledger.sent).collect();
    let mut seen = BTreeSet::new();
    let said = kept.iter().flat_map(|kept| kept.messages.values());
    for text in said.flat_map(|message| &message.texts) {
        promise.check(seen.insert(text), || format!("kept again: {text:?}"));
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
            if !is_theirs {
                let heard = talker.ledger.heard.contains_key(&name);
                private.check(!heard, || format!("{} heard of {name}", talker.name));
            } else if talker.room.as_ref().is_none_or(|room| *room == name) {
                // In the portal, an agent is in one room.
                compare(kept, talker, &name, &mut equal);
            }
        }
    }
    [equal, private]
}

/// Holds what a client heard of a conversation against what is kept of it.
fn compare(kept: &Kept, talker: &Talker, name: &str, promise: &mut Promise) {
    let mut heard = talker.ledger.heard.get(name).cloned().unwrap_or_default();
    let hears_changes = matches!(talker.face, Face::Socketio | Face::Polling);
    for (number, message) in kept.named(talker.ledger.naming) {
        let said = heard.remove(&number);
        // This one is not told again what it said itself.
        if talker.face == Face::Classic && talker.ledger.sent.contains(&message.texts[0]) {
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

/// Nothing counts as delivered or read of which nobody across has said so, or asked for it: the classic face never does.
fn receipts(kept: &[Kept], talkers: &[Talker]) -> Promise {
    let mut promise = Promise::of("no receipt claims what did not happen");
    for talker in talkers {
        for Told { conversation, status, up_to } in &talker.ledger.statuses {
            let Some(kept) = kept.iter().find(|kept| kept.name(talker.face) == *conversation) else {
                promise.check(false, || format!("{} was told of {conversation}, which is not there", talker.name));
                continue;
            };
            let across = talkers.iter().filter(|other| is_across(kept, talker, other));
            let mut acknowledging = across.filter(|other| other.face != Face::Classic);
            let holds = *up_to <= kept.last && (status == "sent" || acknowledging.next().is_some());
            promise.check(holds, || format!("{}: {conversation} is {status} up to {up_to}", talker.name));
        }
    }
    promise
}

/// Whether two clients stand on the two sides of a conversation.
fn is_across(kept: &Kept, one: &Talker, other: &Talker) -> bool {
    let side = |talker: &Talker| {
        let me = talker.me.id.parse::<UserId>().ok()?;
        kept.conversation.members.side_of(me, talker.me.role.is_agent())
    };
    side(one).zip(side(other)).is_some_and(|(one, other)| one != other)
}

/// No holes in the logs, and every projection as the log says.
async fn projections(store: &OpenStore) -> anyhow::Result<Promise> {
    let mut promise = Promise::of("no log has a hole; unread counts and lists follow from it");
    let mut broken = Vec::new();
    let tell = |finding: &crate::verify::Finding| broken.push(finding.to_string());
    let upkeep = store.upkeep()?;
    let report = verify(&*store.stores().conversations, &*upkeep, Repair::No, tell, |_| ()).await?;
    promise.checked = report.entries;
    promise.broken = broken;
    Ok(promise)
}
