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

/// What one client has said and heard, and what struck it as wrong meanwhile.
#[derive(Debug)]
pub(super) struct Ledger {
    /// How it names messages.
    pub(super) naming: Naming,
    /// By conversation: each message by its number.
    pub(super) heard: BTreeMap<String, BTreeMap<u64, String>>,
    /// What it knows to be kept.
    pub(super) acked: Vec<Acked>,
    /// Everything that it ever sent.
    pub(super) sent: BTreeSet<String>,
    /// How often it connected.
    pub(super) connects: u64,
    /// How often it sent something again.
    pub(super) repeats: u64,
    /// What must not be.
    pub(super) wrong: Vec<String>,
    /// By conversation: the numbers that came live on the present connection.
    live: BTreeMap<String, BTreeSet<u64>>,
}

impl Ledger {
    pub(super) const fn new(naming: Naming) -> Self {
        Self {
            naming,
            heard: BTreeMap::new(),
            acked: Vec::new(),
            sent: BTreeSet::new(),
            connects: 0,
            repeats: 0,
            wrong: Vec::new(),
            live: BTreeMap::new(),
        }
    }

    /// A connection begins.
    pub(super) fn connected(&mut self) {
        self.connects += 1;
        self.live.clear();
    }

    /// A message was read from the log: the history, or an answer to `resume`.
    pub(super) fn read(&mut self, conversation: &str, number: u64, text: &str) {
        let known = self.heard.entry(conversation.to_owned()).or_default();
        let first = known.entry(number).or_insert_with(|| text.to_owned());
        if first != text {
            self.wrong.push(format!("{conversation}/{number} was {first:?}, and then {text:?}"));
        }
    }

    /// A message came by itself.
    pub(super) fn hear(&mut self, conversation: &str, number: u64, text: &str) {
        self.read(conversation, number, text);
        let live = self.live.entry(conversation.to_owned()).or_default();
        if live.last().is_some_and(|last| *last > number) {
            self.wrong.push(format!("{conversation}/{number} came after a later one"));
        }
        if !live.insert(number) {
            self.wrong.push(format!("{conversation}/{number} came twice on one connection"));
        }
    }

    /// How far each conversation is known without a hole, as `resume` wants it.
    pub(super) fn cursors(&self) -> BTreeMap<String, u64> {
        let known = |seqs: &BTreeMap<u64, String>| {
            seqs.keys().zip(1..).take_while(|(seq, next)| *seq == next).last().map_or(0, |(seq, _)| *seq)
        };
        self.heard.iter().map(|(id, seqs)| (id.clone(), known(seqs))).collect()
    }
}
