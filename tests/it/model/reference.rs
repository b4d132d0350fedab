//! A minimal model of conversations, with which the server is compared. It was written independently of the server's
//! code.

use std::collections::BTreeMap;

/// 0 for the customer, 1 for the desk.
pub(super) type Side = usize;

/// The visible state of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) author: usize,
    pub(super) side: Side,
    /// Its current text; `None` if it is deleted.
    pub(super) text: Option<String>,
}

/// One conversation with the desk.
#[derive(Debug, Clone)]
pub(super) struct Log {
    /// The number of entries, which is the seq of the newest.
    pub(super) last: u64,
    /// Messages by seq.
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

    /// The number of messages to this side after a seq.
    fn beyond(&self, side: Side, seq: u64) -> u64 {
        self.shown().filter(|(at, said)| *at > seq && said.side != side).count() as u64
    }

    /// The number of unread messages of this side.
    pub(super) fn unread(&self, side: Side) -> u64 {
        self.beyond(side, self.read[side])
    }

    /// Adds a message. Returns its seq, as all of these methods do if they change anything.
    pub(super) fn send(&mut self, author: usize, side: Side, text: &str) -> u64 {
        let seq = self.next();
        self.messages.insert(seq, Said { author, side, text: Some(text.to_owned()) });
        self.status = if side == 0 { "waiting" } else { "active" };
        seq
    }

    /// Marks a side as having read up to a seq, which changes something only if it leaves fewer messages unread.
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

    /// `Err` if the message is deleted.
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
