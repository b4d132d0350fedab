//! What one client has sent and received.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::domain::{Clock as _, SystemClock, Timestamp};

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
    /// Conversation, as the client names it.
    pub(super) conversation: String,
    /// Number of the message.
    pub(super) number: u64,
    /// Its text.
    pub(super) text: String,
}

/// A change of a message that the server has acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Revised {
    /// Conversation.
    pub(super) conversation: String,
    /// Seq of the entry.
    pub(super) seq: u64,
    /// Id of the message.
    pub(super) message: String,
    /// New text; `None` if it was deleted.
    pub(super) text: Option<String>,
}

/// A `message-status`: how far messages of one's own side have come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StatusEvent {
    /// Conversation.
    pub(super) conversation: String,
    /// `sent`, `delivered` or `read`.
    pub(super) status: String,
    /// Last message it applies to.
    pub(super) up_to: u64,
    /// Time of receipt.
    pub(super) at: Instant,
}

/// A client confirmed or requested messages.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// Earliest time.
    pub(super) at: Instant,
    /// Whether this marks them as read.
    pub(super) is_read: bool,
    /// How far, per conversation.
    pub(super) up_to: Extent,
}

/// How far messages were received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    /// Last message per conversation.
    Known(Vec<(String, u64)>),
    /// The request was not answered: any message sent before this time may have been received. `None`: still pending.
    Unknown(Option<Timestamp>),
}

/// What one client has sent and received, and the violations it noticed.
#[derive(Debug)]
pub(super) struct Transcript {
    /// How it names messages.
    pub(super) naming: Naming,
    /// Per conversation: current text of each message by number; `None` if it was deleted.
    pub(super) texts: BTreeMap<String, BTreeMap<u64, Option<String>>>,
    /// Acknowledged messages.
    pub(super) acked: Vec<Acked>,
    /// Acknowledged changes.
    pub(super) revised: Vec<Revised>,
    /// Receipts for messages of its own side.
    pub(super) statuses: Vec<StatusEvent>,
    /// What it confirmed or requested.
    pub(super) received: Vec<Received>,
    /// All texts it ever sent.
    pub(super) sent: BTreeSet<String>,
    /// Number of connections.
    pub(super) connects: u64,
    /// Number of retries.
    pub(super) repeats: u64,
    /// Transient refusals.
    pub(super) refused: u64,
    /// Violations.
    pub(super) violations: Vec<String>,
    /// Conversation and seq by message id.
    places: BTreeMap<String, (String, u64)>,
    /// Per message: seq of its last change.
    revised_by: BTreeMap<(String, u64), u64>,
    /// Per conversation: all known entries.
    known: BTreeMap<String, BTreeSet<u64>>,
    /// Per conversation: entries received live on the present connection.
    live: BTreeMap<String, BTreeSet<u64>>,
    /// Per conversation: highest entry received live after the connection had caught up.
    settled: BTreeMap<String, u64>,
    stage: Stage,
}

/// Stage of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Still reading what it missed.
    CatchingUp,
    /// Caught up: everything new arrives live.
    Settled,
    /// Nothing is sent any more, and everything has arrived.
    Quiet,
}

impl Transcript {
    pub(super) const fn new(naming: Naming) -> Self {
        Self {
            naming,
            texts: BTreeMap::new(),
            acked: Vec::new(),
            revised: Vec::new(),
            statuses: Vec::new(),
            received: Vec::new(),
            sent: BTreeSet::new(),
            connects: 0,
            repeats: 0,
            refused: 0,
            violations: Vec::new(),
            places: BTreeMap::new(),
            revised_by: BTreeMap::new(),
            known: BTreeMap::new(),
            live: BTreeMap::new(),
            settled: BTreeMap::new(),
            stage: Stage::CatchingUp,
        }
    }

    /// A new connection.
    pub(super) fn connected(&mut self) {
        self.connects += 1;
        self.live.clear();
        self.stage = Stage::CatchingUp;
    }

    /// The connection has caught up.
    pub(super) fn settle(&mut self) {
        self.stage = Stage::Settled;
    }

    /// Everything must have arrived.
    pub(super) fn expect_nothing_new(&mut self) {
        self.stage = Stage::Quiet;
    }

    /// Records a confirmation.
    pub(super) fn confirm(&mut self, conversation: &str, up_to: u64, is_read: bool) {
        let up_to = Extent::Known(vec![(conversation.to_owned(), up_to)]);
        self.received.push(Received { at: Instant::now(), is_read, up_to });
    }

    /// Records a request for messages, which counts as receiving them. Returns a handle for [`answered`](Self::answered).
    pub(super) fn ask(&mut self, is_read: bool) -> usize {
        self.received.push(Received { at: Instant::now(), is_read, up_to: Extent::Unknown(None) });
        self.received.len() - 1
    }

    /// Records the response to a request; `None` if there was none.
    pub(super) fn answered(&mut self, asked: usize, up_to: Option<Vec<(String, u64)>>) {
        if let Some(taken) = self.received.get_mut(asked) {
            taken.up_to = up_to.map_or_else(|| Extent::Unknown(Some(SystemClock.now())), Extent::Known);
        }
    }

    /// Records a message's text. Live events may be recorded after a response that is newer.
    pub(super) fn read(&mut self, conversation: &str, number: u64, text: Option<&str>) {
        if !self.revised_by.contains_key(&(conversation.to_owned(), number)) {
            self.set_text(conversation, number, text);
        }
    }

    /// Records a message's text from a response that is newer than everything recorded so far.
    pub(super) fn read_anew(&mut self, conversation: &str, number: u64, text: Option<&str>) {
        let known = self.texts.get(conversation).and_then(|texts| texts.get(&number));
        if text.is_some() && matches!(known, Some(None)) {
            self.violations.push(format!("{conversation}/{number} was deleted, and is shown again"));
        }
        self.read(conversation, number, text);
    }

    /// Records an edit or a deletion by the entry `by`.
    pub(super) fn revise(&mut self, message: &str, by: u64, text: Option<&str>) {
        let Some(place) = self.places.get(message).cloned() else {
            return self.violations.push(format!("message {message} was changed before it was received"));
        };
        let last = self.revised_by.entry(place.clone()).or_default();
        if by >= *last {
            *last = by;
            self.set_text(&place.0, place.1, text);
        }
    }

    fn set_text(&mut self, conversation: &str, number: u64, text: Option<&str>) {
        let known = self.texts.entry(conversation.to_owned()).or_default();
        known.insert(number, text.map(str::to_owned));
    }

    /// Records a message's id.
    pub(super) fn identify(&mut self, message: &str, conversation: &str, seq: u64) {
        let here = (conversation.to_owned(), seq);
        let known = self.places.entry(message.to_owned()).or_insert_with(|| here.clone());
        if *known != here {
            self.violations.push(format!("message {message} has two places: {known:?} and {here:?}"));
        }
    }

    /// Records an entry that was received live.
    pub(super) fn receive(&mut self, conversation: &str, number: u64) {
        self.learn(conversation, number);
        let live = self.live.entry(conversation.to_owned()).or_default();
        if live.last().is_some_and(|last| *last > number) {
            self.violations.push(format!("{conversation}/{number} arrived after a later one"));
        }
        if !live.insert(number) {
            self.violations.push(format!("{conversation}/{number} arrived twice on one connection"));
        }
        if self.stage != Stage::CatchingUp {
            let highest = self.settled.entry(conversation.to_owned()).or_default();
            *highest = number.max(*highest);
        }
    }

    /// Records an entry read from the log. If it should have arrived live before, that is a violation.
    pub(super) fn fetch(&mut self, conversation: &str, number: u64) {
        if !self.learn(conversation, number) {
            return;
        }
        if self.stage == Stage::Quiet {
            self.violations.push(format!("{conversation}/{number} never arrived live"));
        } else if self.settled.get(conversation).is_some_and(|highest| number < *highest) {
            self.violations.push(format!("{conversation}/{number} was skipped: a later one had arrived live"));
        }
    }

    /// Records that an entry exists. Returns whether it is new.
    pub(super) fn learn(&mut self, conversation: &str, number: u64) -> bool {
        self.known.entry(conversation.to_owned()).or_default().insert(number)
    }

    /// The newest known entry per conversation.
    pub(super) fn newest(&self) -> BTreeMap<String, u64> {
        self.known.iter().filter_map(|(id, seqs)| Some((id.clone(), *seqs.last()?))).collect()
    }

    /// Per conversation, the seq up to which it is known without a gap, for `resume`.
    pub(super) fn cursors(&self) -> BTreeMap<String, u64> {
        let known = |seqs: &BTreeSet<u64>| {
            seqs.iter().zip(1..).take_while(|(seq, next)| **seq == *next).last().map_or(0, |(seq, _)| *seq)
        };
        self.known.iter().map(|(id, seqs)| (id.clone(), known(seqs))).collect()
    }
}
