//! The log of a conversation: numbered entries.

use std::fmt;

use super::{
    ClientMessageId, ConversationId, Message, MessageBody, MessageExtras, MessageId, Side, Status, Timestamp, UserId,
};

/// The position of an entry in its conversation: 1, 2, 3 and so on, without gaps, in commit order. Zero is before the first.
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

    /// The next seq, saturating at the maximum, which only a client that invents seqs can send.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The previous seq; zero stays zero.
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

/// One entry of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its position there.
    pub seq: Seq,
    /// Who appended it.
    pub author: UserId,
    /// The side of the author.
    pub side: Side,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub kind: EntryKind,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// A message.
    Message(Message),
    /// The author's side has read everything up to `up_to`.
    Read {
        /// The last entry they have read.
        up_to: Seq,
    },
    /// The status was set explicitly.
    StatusChanged {
        /// The new status.
        status: Status,
    },
    /// A message was edited.
    Edited {
        /// Which message.
        target: Target,
        /// Its new text.
        body: MessageBody,
    },
    /// A message was deleted. Its text stays in the log, but is never shown again.
    Deleted {
        /// Which message.
        target: Target,
    },
}

/// The message that an edit or a deletion refers to, with everything that is needed to apply the entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// Its id.
    pub id: MessageId,
    /// Its number.
    pub number: u64,
    /// Its seq, in the same conversation.
    pub seq: Seq,
    /// The side of its author.
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

    /// The entry as it was appended, without later edits and deletions.
    #[must_use]
    pub fn as_appended(mut self) -> Self {
        if let EntryKind::Message(message) = &mut self.kind {
            message.revision = None;
        }
        self
    }
}

/// An entry to be appended, without what the store assigns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// The conversation.
    pub conversation: ConversationId,
    /// The author.
    pub author: UserId,
    /// The side of the author.
    pub side: Side,
    /// When it was requested.
    pub at: Timestamp,
    /// What to append.
    pub kind: DraftKind,
}

/// What a draft appends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DraftKind {
    /// A message.
    Message {
        /// The id it will have.
        id: MessageId,
        /// The text.
        body: MessageBody,
        /// The client's id for it. Appending the same one again changes nothing.
        client_id: Option<ClientMessageId>,
        /// Its data in addition to the text.
        extras: Option<Box<MessageExtras>>,
    },
    /// Marks everything up to `up_to` as read. Appends nothing if it is read already.
    Read {
        /// The last entry that the author's side has read. Beyond the end of the log, it means the whole log.
        up_to: Seq,
    },
    /// Sets the status. Appends nothing if it is the current one.
    ChangeStatus {
        /// The new status.
        status: Status,
    },
    /// Edits a message. Appends nothing if that is its text already, or if it was deleted.
    Edit {
        /// The message, in the same conversation.
        target: Target,
        /// The new text.
        body: MessageBody,
    },
    /// Deletes a message. Appends nothing if it was deleted already.
    Delete {
        /// The message, in the same conversation.
        target: Target,
    },
}
