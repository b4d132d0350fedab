//! What one client has said and heard.

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
    /// When.
    pub(super) at: Instant,
}

/// That a client took messages: it said so, or asked for them.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// When, at the earliest.
    pub(super) at: Instant,
    /// Whether that was to mark them as read.
    pub(super) is_read: bool,
    /// Up to where, by conversation, as the client names things.
    pub(super) up_to: Extent,
}

/// How far something went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    /// By conversation.
    Known(Vec<(String, u64)>),
    /// It asked and was not answered: as far as anything was said until it gave up. `None`: it still waits.
    Unknown(Option<Timestamp>),
}

/// What one client has said and heard, and what struck it as wrong meanwhile.
#[derive(Debug)]
pub(super) struct Transcript {
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
    /// What it took.
    pub(super) taken: Vec<Taken>,
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
    /// By message, where it is: the entry that changed it last.
    revised_by: BTreeMap<(String, u64), u64>,
    /// By conversation: the numbers of all entries it knows of.
    known: BTreeMap<String, BTreeSet<u64>>,
    /// By conversation: the numbers that came live on the present connection.
    live: BTreeMap<String, BTreeSet<u64>>,
    /// By conversation: the highest number that came live on a connection after all before it was read.
    settled: BTreeMap<String, u64>,
    stage: Stage,
}

/// What a connection is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// What was missed is still being read.
    CatchingUp,
    /// All before was read: from now on everything comes by itself.
    Settled,
    /// Nothing is said any more, and all that was said has come.
    Quiet,
}

impl Transcript {
    pub(super) const fn new(naming: Naming) -> Self {
        Self {
            naming,
            heard: BTreeMap::new(),
            acked: Vec::new(),
            revised: Vec::new(),
            statuses: Vec::new(),
            taken: Vec::new(),
            sent: BTreeSet::new(),
            connects: 0,
            repeats: 0,
            wrong: Vec::new(),
            places: BTreeMap::new(),
            revised_by: BTreeMap::new(),
            known: BTreeMap::new(),
            live: BTreeMap::new(),
            settled: BTreeMap::new(),
            stage: Stage::CatchingUp,
        }
    }

    /// A connection begins.
    pub(super) fn connected(&mut self) {
        self.connects += 1;
        self.live.clear();
        self.stage = Stage::CatchingUp;
    }

    /// All that was said before the connection has been read.
    pub(super) fn settle(&mut self) {
        self.stage = Stage::Settled;
    }

    /// All that was ever said must have come.
    pub(super) fn expect_nothing_new(&mut self) {
        self.stage = Stage::Quiet;
    }

    /// It says that it took everything up to here.
    pub(super) fn take(&mut self, conversation: &str, up_to: u64, is_read: bool) {
        let up_to = Extent::Known(vec![(conversation.to_owned(), up_to)]);
        self.taken.push(Taken { at: Instant::now(), is_read, up_to });
    }

    /// It asks for messages, and so takes what it will be given. To be told by [`answered`](Self::answered) what that was.
    pub(super) fn ask(&mut self, is_read: bool) -> usize {
        self.taken.push(Taken { at: Instant::now(), is_read, up_to: Extent::Unknown(None) });
        self.taken.len() - 1
    }

    /// It was given messages up to here; `None` if it was not answered.
    pub(super) fn answered(&mut self, asked: usize, up_to: Option<Vec<(String, u64)>>) {
        if let Some(taken) = self.taken.get_mut(asked) {
            taken.up_to = up_to.map_or_else(|| Extent::Unknown(Some(SystemClock.now())), Extent::Known);
        }
    }

    /// What a message says, as it was told or read from the log. What came by itself may be looked at only after what was read
    /// later.
    pub(super) fn read(&mut self, conversation: &str, number: u64, text: Option<&str>) {
        if !self.revised_by.contains_key(&(conversation.to_owned(), number)) {
            self.say(conversation, number, text);
        }
    }

    /// What a message says by the log, which was asked after all that was looked at so far.
    pub(super) fn read_anew(&mut self, conversation: &str, number: u64, text: Option<&str>) {
        let known = self.heard.get(conversation).and_then(|heard| heard.get(&number));
        if text.is_some() && matches!(known, Some(None)) {
            self.wrong.push(format!("{conversation}/{number} was deleted, and is shown again"));
        }
        self.read(conversation, number, text);
    }

    /// A message says something else, or nothing any more, since entry `by`.
    pub(super) fn revise(&mut self, message: &str, by: u64, text: Option<&str>) {
        let Some(place) = self.places.get(message).cloned() else {
            return self.wrong.push(format!("message {message} was changed before it was said"));
        };
        let last = self.revised_by.entry(place.clone()).or_default();
        if by >= *last {
            *last = by;
            self.say(&place.0, place.1, text);
        }
    }

    fn say(&mut self, conversation: &str, number: u64, text: Option<&str>) {
        let known = self.heard.entry(conversation.to_owned()).or_default();
        known.insert(number, text.map(str::to_owned));
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
        if self.stage != Stage::CatchingUp {
            let highest = self.settled.entry(conversation.to_owned()).or_default();
            *highest = number.max(*highest);
        }
    }

    /// An entry that is told to everybody was read from the log. It is news only if it was said while there was no connection.
    pub(super) fn fetch(&mut self, conversation: &str, number: u64) {
        if !self.know(conversation, number) {
            return;
        }
        if self.stage == Stage::Quiet {
            self.wrong.push(format!("{conversation}/{number} never came by itself"));
        } else if self.settled.get(conversation).is_some_and(|highest| number < *highest) {
            self.wrong.push(format!("{conversation}/{number} was left out: a later one had come by itself"));
        }
    }

    /// It knows of an entry. Tells whether that is news.
    pub(super) fn know(&mut self, conversation: &str, number: u64) -> bool {
        self.known.entry(conversation.to_owned()).or_default().insert(number)
    }

    /// The newest entry that it knows of in each conversation.
    pub(super) fn newest(&self) -> BTreeMap<String, u64> {
        self.known.iter().filter_map(|(id, seqs)| Some((id.clone(), *seqs.last()?))).collect()
    }

    /// How far each conversation is known without a hole, as `resume` wants it.
    pub(super) fn cursors(&self) -> BTreeMap<String, u64> {
        let known = |seqs: &BTreeSet<u64>| {
            seqs.iter().zip(1..).take_while(|(seq, next)| **seq == *next).last().map_or(0, |(seq, _)| *seq)
        };
        self.known.iter().map(|(id, seqs)| (id.clone(), known(seqs))).collect()
    }
}
