//! How far a page has got, as one number that its client keeps.

use std::fmt;
use std::str::FromStr;

use super::{EntryEvent, Members, Seq, UserId};

/// A place in what a person is told: everything up to it was sent to a page, and nothing beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In all conversations together: the number of a message, on a store that numbers messages in the one order of all entries.
    InAll(u64),
    /// In a customer's own conversation with the desk, on a store without such an order. It says nothing of their other
    /// conversations.
    InOwn(Seq),
}

impl Place {
    /// Where a page is that was here, once a message was sent to it.
    #[must_use]
    pub fn after(self, told: &EntryEvent, viewer: UserId) -> Self {
        match (self, told.entry.message()) {
            (Self::InAll(number), Some(message)) => Self::InAll(number.max(message.number)),
            (Self::InOwn(seq), Some(_))
                if told.parties.conversation.members == (Members::Support { customer: viewer }) =>
            {
                Self::InOwn(seq.max(told.entry.seq))
            }
            (unmoved, _) => unmoved,
        }
    }
}

/// `17`, or `s17` in the own conversation.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InAll(number) => write!(f, "{number}"),
            Self::InOwn(seq) => write!(f, "s{}", seq.get()),
        }
    }
}

/// It is not written as a place is.
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
