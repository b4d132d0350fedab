//! The log: what happened in a conversation, numbered.

use std::fmt;

use super::{
    ClientMessageId, ConversationId, LastMessage, Message, MessageBody, MessageId, Side, Status, Summary, Timestamp,
    UserId,
};

/// An entry's number in its conversation: 1, 2, 3 ... without holes, in commit order. Zero is before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seq(u64);

impl Seq {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);

    /// The seq with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The one before; zero stays zero.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One numbered thing that happened in a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where it happened.
    pub conversation: ConversationId,
    /// Its number there.
    pub seq: Seq,
    /// Who did it.
    pub author: UserId,
    /// On which side they stood.
    pub side: Side,
    /// When.
    pub at: Timestamp,
    /// What it was.
    pub kind: EntryKind,
}

/// What an entry says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// Something was said.
    Message(Message),
    /// The author's side has read everything up to `up_to`.
    Read {
        /// The last entry they have read.
        up_to: Seq,
    },
    /// The status was set by hand.
    StatusChanged {
        /// What it is now.
        status: Status,
    },
}

impl Entry {
    /// The message, if that is what the entry is.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match &self.kind {
            EntryKind::Message(message) => Some(message),
            EntryKind::Read { .. } | EntryKind::StatusChanged { .. } => None,
        }
    }
}

/// An entry that waits to be appended: everything but what the store assigns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// Where it belongs.
    pub conversation: ConversationId,
    /// Who does it.
    pub author: UserId,
    /// On which side they stand.
    pub side: Side,
    /// When it was asked for.
    pub at: Timestamp,
    /// What it is.
    pub kind: DraftKind,
}

/// What a draft asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DraftKind {
    /// To say something.
    Message {
        /// The id it will have.
        id: MessageId,
        /// The text.
        body: MessageBody,
        /// What the author's client calls it: the same one again changes nothing.
        client_id: Option<ClientMessageId>,
    },
    /// To mark everything up to `up_to` as read; changes nothing if that is no news.
    Read {
        /// The last entry the author's side has read; beyond the end of the log means all of it.
        up_to: Seq,
    },
    /// To set the status; changes nothing if that is no news.
    ChangeStatus {
        /// What it shall be.
        status: Status,
    },
}

/// How far a read mark reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadReach {
    /// Nothing new: no entry is due.
    Nothing,
    /// To the end of the log: nothing stays unread.
    Everything,
    /// To this entry only; what stays unread has to be counted in the log.
    Part(Seq),
}

impl Summary {
    /// What a read mark of `side` up to `up_to` would do.
    ///
    /// Only a mark that covers a message of the other side is news, else two readers would mark each other's marks.
    #[must_use]
    pub fn read_reach(&self, side: Side, up_to: Seq) -> ReadReach {
        let state = self.side(side);
        let last_message = self.last_message.as_ref().map_or(Seq::ZERO, |last| last.seq);
        if state.unread == 0 || up_to <= state.read {
            ReadReach::Nothing
        } else if up_to >= last_message {
            ReadReach::Everything
        } else {
            ReadReach::Part(up_to)
        }
    }

    /// Takes one more entry into account. `unread_after` is how many messages of the other side lie beyond the mark,
    /// and is looked at only if the entry is a read mark.
    pub fn follow(&mut self, entry: &Entry, unread_after: u64) {
        self.last_seq = entry.seq;
        self.updated_at = entry.at;
        match &entry.kind {
            EntryKind::Message(message) => {
                self.status = Status::after_message(entry.side);
                if !self.conversation.members.is_with_oneself() {
                    self.sides[entry.side.other().index()].unread += 1;
                }
                self.last_message =
                    Some(LastMessage { seq: entry.seq, side: entry.side, body: message.body.clone(), at: entry.at });
            }
            EntryKind::Read { up_to } => {
                let side = &mut self.sides[entry.side.index()];
                side.read = side.read.max(*up_to);
                side.unread = unread_after;
            }
            EntryKind::StatusChanged { status } => self.status = *status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Conversation, Members};

    fn summary() -> Summary {
        Summary::opened(Conversation {
            id: ConversationId::from_bytes([1; 12]),
            number: 1,
            uuid: 1,
            members: Members::Support { customer: UserId::from_bytes([2; 12]) },
            created_at: Timestamp::default(),
        })
    }

    fn say(summary: &mut Summary, side: Side) {
        let message = Message {
            id: MessageId::from_bytes([3; 12]),
            number: 1,
            body: MessageBody::stored("hi".into()),
            client_id: None,
        };
        let entry = Entry {
            conversation: summary.conversation.id,
            seq: summary.last_seq.next(),
            author: UserId::from_bytes([2; 12]),
            side,
            at: Timestamp::from_millis(7),
            kind: EntryKind::Message(message),
        };
        summary.follow(&entry, 0);
    }

    #[test]
    fn a_message_is_unread_on_the_other_side_only() {
        let mut summary = summary();
        say(&mut summary, Side::Customer);
        assert_eq!(summary.side(Side::Desk).unread, 1);
        assert_eq!(summary.side(Side::Customer).unread, 0);
        assert_eq!(summary.status, Status::Waiting);
    }

    #[test]
    fn a_read_mark_is_news_once() {
        let mut summary = summary();
        assert_eq!(summary.read_reach(Side::Desk, Seq::new(9)), ReadReach::Nothing);
        say(&mut summary, Side::Customer);
        say(&mut summary, Side::Customer);
        assert_eq!(summary.read_reach(Side::Desk, Seq::new(1)), ReadReach::Part(Seq::new(1)));
        assert_eq!(summary.read_reach(Side::Desk, Seq::new(9)), ReadReach::Everything);
        assert_eq!(summary.read_reach(Side::Customer, Seq::new(9)), ReadReach::Nothing);
    }
}
