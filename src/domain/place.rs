//! Positions in the stream of events, which clients hold and send back when they reconnect.

use std::fmt;
use std::str::FromStr;

use super::{EntryEvent, Seq, UserId};

/// A position in what a person is sent: a page has received everything up to it, and nothing after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In all conversations: the number of a message, with a store that has one order of all entries.
    InAll(u64),
    /// In a customer's own conversation with the desk, with a store that has no such order. Says nothing about their other
    /// conversations.
    InOwn(Seq),
}

impl Place {
    /// The position of a page after it was sent this entry.
    #[must_use]
    pub fn after(self, event: &EntryEvent, viewer: UserId) -> Self {
        match (self, event.entry.message()) {
            (Self::InAll(number), Some(message)) => Self::InAll(number.max(message.number)),
            (Self::InOwn(seq), Some(_)) if event.parties.conversation.members.customer() == Some(viewer) => {
                Self::InOwn(seq.max(event.entry.seq))
            }
            (unmoved, _) => unmoved,
        }
    }
}

/// `17`, or `s17` for the customer's own conversation.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InAll(number) => write!(f, "{number}"),
            Self::InOwn(seq) => write!(f, "s{}", seq.get()),
        }
    }
}

/// The text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let number = |text: &str| text.parse().map_err(|_| NoPlace);
        match text.strip_prefix('s') {
            Some(seq) => Ok(Self::InOwn(Seq::new(number(seq)?))),
            None => Ok(Self::InAll(number(text)?)),
        }
    }
}
