//! What one client has said and heard.

use std::collections::{BTreeMap, BTreeSet};

/// How a client names the messages of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Naming {
    /// By their seqs.
    Seq,
    /// By their integer ids.
    Number,
}

/// A message that the server has acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Acked {
    /// Where: as the client names conversations.
    pub(super) conversation: String,
    /// What it is called there.
    pub(super) number: u64,
    /// What was said.
    pub(super) text: String,
}

/// A change of a message that the server has acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Revised {
    /// Where.
    pub(super) conversation: String,
    /// The entry that did it.
    pub(super) seq: u64,
    /// The id of the message.
    pub(super) message: String,
    /// What it says since; `None` if it was deleted.
    pub(super) text: Option<String>,
}

/// How far messages of one's own side have come, as the server says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told {
    /// Where.
    pub(super) conversation: String,
    /// `sent`, `delivered` or `read`.
    pub(super) status: String,
    /// All messages up to here.
    pub(super) up_to: u64,
}

/// What one client has said and heard, and what struck it as wrong meanwhile.
#[derive(Debug)]
pub(super) struct Ledger {
    /// How it names messages.
    pub(super) naming: Naming,
    /// By conversation: what each message says by the last it heard, by its number; `None` if it was deleted.
    pub(super) heard: BTreeMap<String, BTreeMap<u64, Option<String>>>,
    /// What it knows to be kept.
    pub(super) acked: Vec<Acked>,
    /// The same of changes.
    pub(super) revised: Vec<Revised>,
    /// What it was told of how far messages of its own side have come.
    pub(super) statuses: Vec<Told>,
    /// Everything that it ever sent.
    pub(super) sent: BTreeSet<String>,
    /// How often it connected.
    pub(super) connects: u64,
    /// How often it sent something again.
    pub(super) repeats: u64,
    /// What must not be.
    pub(super) wrong: Vec<String>,
    /// By message id: where it is.
    places: BTreeMap<String, (String, u64)>,
    /// By conversation: the seqs of all entries it knows of.
    seqs: BTreeMap<String, BTreeSet<u64>>,
    /// By conversation: the numbers that came live on the present connection.
    live: BTreeMap<String, BTreeSet<u64>>,
}

impl Ledger {
    pub(super) const fn new(naming: Naming) -> Self {
        Self {
            naming,
            heard: BTreeMap::new(),
            acked: Vec::new(),
            revised: Vec::new(),
            statuses: Vec::new(),
            sent: BTreeSet::new(),
            connects: 0,
            repeats: 0,
            wrong: Vec::new(),
            places: BTreeMap::new(),
            seqs: BTreeMap::new(),
            live: BTreeMap::new(),
        }
    }

    /// A connection begins.
    pub(super) fn connected(&mut self) {
        self.connects += 1;
        self.live.clear();
    }

    /// What a message says: read from the log, or told.
    pub(super) fn read(&mut self, conversation: &str, number: u64, text: Option<&str>) {
        let known = self.heard.entry(conversation.to_owned()).or_default();
        known.insert(number, text.map(str::to_owned));
    }

    /// A message says something else, or nothing any more.
    pub(super) fn revise(&mut self, message: &str, text: Option<&str>) {
        match self.places.get(message).cloned() {
            Some((conversation, seq)) => self.read(&conversation, seq, text),
            None => self.wrong.push(format!("message {message} was changed before it was said")),
        }
    }

    /// A message has this id.
    pub(super) fn identify(&mut self, message: &str, conversation: &str, seq: u64) {
        let here = (conversation.to_owned(), seq);
        let known = self.places.entry(message.to_owned()).or_insert_with(|| here.clone());
        if *known != here {
            self.wrong.push(format!("message {message} is {known:?} and {here:?}"));
        }
    }

    /// An entry came by itself.
    pub(super) fn hear(&mut self, conversation: &str, number: u64) {
        self.know(conversation, number);
        let live = self.live.entry(conversation.to_owned()).or_default();
        if live.last().is_some_and(|last| *last > number) {
            self.wrong.push(format!("{conversation}/{number} came after a later one"));
        }
        if !live.insert(number) {
            self.wrong.push(format!("{conversation}/{number} came twice on one connection"));
        }
    }

    /// It knows of an entry.
    pub(super) fn know(&mut self, conversation: &str, seq: u64) {
        self.seqs.entry(conversation.to_owned()).or_default().insert(seq);
    }

    /// How far each conversation is known without a hole, as `resume` wants it.
    pub(super) fn cursors(&self) -> BTreeMap<String, u64> {
        let known = |seqs: &BTreeSet<u64>| {
            seqs.iter().zip(1..).take_while(|(seq, next)| **seq == *next).last().map_or(0, |(seq, _)| *seq)
        };
        self.seqs.iter().map(|(id, seqs)| (id.clone(), known(seqs))).collect()
    }
}
