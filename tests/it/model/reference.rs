//! What conversations are, in as few words as possible: the rules that the server is held against. Written without a look
//! at how the server keeps them.

use std::collections::BTreeMap;

/// 0 for the customer, 1 for the desk.
pub(super) type Side = usize;

/// A message, as far as anybody may know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) author: usize,
    pub(super) side: Side,
    /// What it says now; `None` once it was deleted.
    pub(super) text: Option<String>,
}

/// One conversation with the desk.
#[derive(Debug, Clone)]
pub(super) struct Log {
    /// How many entries there are: the seq of the newest.
    pub(super) last: u64,
    /// By seq.
    pub(super) messages: BTreeMap<u64, Said>,
    /// How far each side has read.
    pub(super) read: [u64; 2],
    pub(super) status: &'static str,
}

impl Log {
    pub(super) const fn new() -> Self {
        Self { last: 0, messages: BTreeMap::new(), read: [0, 0], status: "active" }
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Messages that are not deleted, with their seqs.
    pub(super) fn shown(&self) -> impl DoubleEndedIterator<Item = (u64, &Said)> {
        self.messages.iter().filter(|(_, said)| said.text.is_some()).map(|(seq, said)| (*seq, said))
    }

    /// How many messages wait for this side, beyond a seq.
    fn beyond(&self, side: Side, seq: u64) -> u64 {
        self.shown().filter(|(at, said)| *at > seq && said.side != side).count() as u64
    }

    /// How many messages wait to be read by this side.
    pub(super) fn unread(&self, side: Side) -> u64 {
        self.beyond(side, self.read[side])
    }

    /// Something is said. Gives its seq, as all of these do if they are news.
    pub(super) fn say(&mut self, author: usize, side: Side, text: &str) -> u64 {
        let seq = self.next();
        self.messages.insert(seq, Said { author, side, text: Some(text.to_owned()) });
        self.status = if side == 0 { "waiting" } else { "active" };
        seq
    }

    /// A side has read up to a seq, which is news only if fewer messages wait for it then.
    pub(super) fn mark_read(&mut self, side: Side, up_to: u64) -> Option<u64> {
        let newest = self.shown().next_back().map_or(0, |(seq, _)| seq);
        let up_to = if up_to >= newest { self.last } else { up_to };
        if up_to <= self.read[side] || self.beyond(side, up_to) == self.unread(side) {
            return None;
        }
        self.read[side] = up_to;
        Some(self.next())
    }

    pub(super) fn set_status(&mut self, status: &'static str) -> Option<u64> {
        if self.status == status {
            return None;
        }
        self.status = status;
        Some(self.next())
    }

    /// `Err` if the message is gone.
    pub(super) fn edit(&mut self, message: u64, text: &str) -> Result<Option<u64>, ()> {
        let said = self.messages.get_mut(&message).ok_or(())?;
        if *said.text.as_ref().ok_or(())? == text {
            return Ok(None);
        }
        said.text = Some(text.to_owned());
        Ok(Some(self.next()))
    }

    pub(super) fn delete(&mut self, message: u64) -> Option<u64> {
        self.messages.get_mut(&message)?.text.take()?;
        Some(self.next())
    }
}
