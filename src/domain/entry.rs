//! The log: what happened in a conversation, numbered.

use std::fmt;

use super::{
    ClientMessageId, ConversationId, Message, MessageBody, MessageExtras, MessageId, Side, Status, Timestamp, UserId,
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

    /// The one that follows; none follows the highest there can be, which only a client that makes one up can name.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
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
    /// A message says something else now.
    Edited {
        /// Which message.
        target: Target,
        /// What it says.
        body: MessageBody,
    },
    /// A message was taken back. Its text stays in the log, and is shown to nobody.
    Deleted {
        /// Which message.
        target: Target,
    },
}

/// The message that an edit or a deletion is about: enough of it that all that follows can be told from the log alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// Its id.
    pub id: MessageId,
    /// The same message as an integer.
    pub number: u64,
    /// Its place in the same conversation.
    pub seq: Seq,
    /// The side of who said it.
    pub side: Side,
}

impl Entry {
    /// The message, if that is what the entry is.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match &self.kind {
            EntryKind::Message(message) => Some(message),
            EntryKind::Read { .. }
            | EntryKind::StatusChanged { .. }
            | EntryKind::Edited { .. }
            | EntryKind::Deleted { .. } => None,
        }
    }

    /// The message that it changes, if it is an edit or a deletion.
    #[must_use]
    pub const fn target(&self) -> Option<&Target> {
        match &self.kind {
            EntryKind::Edited { target, .. } | EntryKind::Deleted { target } => Some(target),
            EntryKind::Message(_) | EntryKind::Read { .. } | EntryKind::StatusChanged { .. } => None,
        }
    }

    /// The entry as a target for edits and deletions, if it is a message.
    #[must_use]
    pub fn as_target(&self) -> Option<Target> {
        let message = self.message()?;
        Some(Target { id: message.id, number: message.number, seq: self.seq, side: self.side })
    }

    /// The entry as it was when it was appended: without what became of it since.
    #[must_use]
    pub fn as_appended(mut self) -> Self {
        if let EntryKind::Message(message) = &mut self.kind {
            message.revision = None;
        }
        self
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
        /// What it has besides its text.
        extras: Option<Box<MessageExtras>>,
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
    /// To have a message say something else; changes nothing if it says so already, or was deleted.
    Edit {
        /// Which message of the same conversation.
        target: Target,
        /// What it shall say.
        body: MessageBody,
    },
    /// To take a message back; changes nothing if it was deleted already.
    Delete {
        /// Which message of the same conversation.
        target: Target,
    },
}
