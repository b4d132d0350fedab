//! Conversations: their members, their status, and their current state.

use std::str::FromStr;

use super::user::UnknownWord;
use super::{ConversationId, MessageBody, Person, Seq, Timestamp, UserId};

/// Who a conversation is between.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Members {
    /// One customer and the desk, which all agents share.
    Support {
        /// The customer.
        customer: UserId,
    },
    /// Two accounts, or one with itself. Made by [`Members::direct`], which puts the lower id first.
    Direct {
        /// The account with the lower id; it is on the customer's side.
        first: UserId,
        /// The account with the higher id; it is on the desk's side.
        second: UserId,
    },
}

impl Members {
    /// The direct conversation of two accounts, in either order.
    #[must_use]
    pub fn direct(one: UserId, other: UserId) -> Self {
        Self::Direct { first: one.min(other), second: one.max(other) }
    }

    /// Whether an account talks with itself. Nothing is ever unread then.
    #[must_use]
    pub fn is_with_oneself(&self) -> bool {
        matches!(self, Self::Direct { first, second } if first == second)
    }

    /// The side that somebody is on; `None` if they are not a member.
    #[must_use]
    pub fn side_of(&self, user: UserId, is_agent: bool) -> Option<Side> {
        match *self {
            Self::Support { customer } if customer == user => Some(Side::Customer),
            Self::Support { .. } => is_agent.then_some(Side::Desk),
            Self::Direct { first, .. } if first == user => Some(Side::Customer),
            Self::Direct { second, .. } => (second == user).then_some(Side::Desk),
        }
    }

    /// The side that a person is on; `None` if they are not a member.
    #[must_use]
    pub fn side_of_person(&self, person: &Person) -> Option<Side> {
        self.side_of(person.id, person.role.is_agent())
    }

    /// The customer of a conversation with the desk; `None` for a direct one.
    #[must_use]
    pub const fn customer(&self) -> Option<UserId> {
        match *self {
            Self::Support { customer } => Some(customer),
            Self::Direct { .. } => None,
        }
    }
}

/// One of the two parties of a conversation.
///
/// In a direct conversation, the account with the lower id is on the customer's side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The customer.
    Customer,
    /// The desk.
    Desk,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Customer => Self::Desk,
            Self::Desk => Self::Customer,
        }
    }

    /// 0 for the customer's side, 1 for the desk's: the form that stores use, and the index into [`Summary::sides`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Customer => 0,
            Self::Desk => 1,
        }
    }
}

/// What never changes once a conversation is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conversation {
    /// Its id in all dialects.
    pub id: ConversationId,
    /// Its number, for dialects with integer ids.
    pub number: u64,
    /// Its UUID, which cannot be guessed, for dialects that use it as a capability.
    pub uuid: u128,
    /// Its members.
    pub members: Members,
    /// When it was opened.
    pub created_at: Timestamp,
}

/// The status of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Status {
    /// The customer is waiting for an answer.
    Waiting,
    /// The desk has answered.
    Active,
    /// An agent closed it; the next message opens it again.
    Closed,
    /// An agent removed it from the desk's lists and counts. Its customer can still read it, and the next message opens it again.
    Removed,
}

impl Status {
    /// The word stores use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Closed => "closed",
            Self::Removed => "removed",
        }
    }

    /// The word dialects use. They have none for a removed conversation, which is shown as closed.
    #[must_use]
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Closed | Self::Removed => "closed",
        }
    }

    /// The status after a message from `side`.
    #[must_use]
    pub const fn after_message(side: Side) -> Self {
        match side {
            Side::Customer => Self::Waiting,
            Side::Desk => Self::Active,
        }
    }
}

impl FromStr for Status {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "waiting" => Ok(Self::Waiting),
            "active" => Ok(Self::Active),
            "closed" => Ok(Self::Closed),
            "removed" => Ok(Self::Removed),
            _ => Err(UnknownWord("waiting, active, closed, removed")),
        }
    }
}

/// The newest message, as conversation lists show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastMessage {
    /// Its seq.
    pub seq: Seq,
    /// The side of its author.
    pub side: Side,
    /// Its text.
    pub body: MessageBody,
    /// When.
    pub at: Timestamp,
}

/// What one side has read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SideState {
    /// Everything up to here has been read by this side.
    pub read: Seq,
    /// How many messages of the other side come after `read`.
    pub unread: u64,
}

/// The current state of a conversation. All of it can be recomputed from the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// What never changes.
    pub conversation: Conversation,
    /// The status of a conversation.
    pub status: Status,
    /// The seq of the newest entry; zero while the log is empty.
    pub last_seq: Seq,
    /// The newest message that was not deleted; `None` if there is none.
    pub last_message: Option<LastMessage>,
    /// Both sides, by [`Side::index`].
    pub sides: [SideState; 2],
    /// When the newest entry was appended, or the conversation opened.
    pub updated_at: Timestamp,
}

impl Summary {
    /// The state of a conversation whose log is empty.
    #[must_use]
    pub fn opened(conversation: Conversation) -> Self {
        Self {
            conversation,
            status: Status::Active,
            last_seq: Seq::ZERO,
            last_message: None,
            sides: [SideState::default(); 2],
            updated_at: conversation.created_at,
        }
    }

    /// What this side has read.
    #[must_use]
    pub const fn side(&self, side: Side) -> &SideState {
        &self.sides[side.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> UserId {
        UserId::from_bytes([byte; 12])
    }

    #[test]
    fn a_direct_conversation_is_the_same_from_both_ends() {
        assert_eq!(Members::direct(id(1), id(2)), Members::direct(id(2), id(1)));
    }

    #[test]
    fn only_members_have_a_side() {
        let support = Members::Support { customer: id(1) };
        assert_eq!(support.side_of(id(1), false), Some(Side::Customer));
        assert_eq!(support.side_of(id(2), true), Some(Side::Desk));
        assert_eq!(support.side_of(id(2), false), None);
        let direct = Members::direct(id(1), id(2));
        assert_eq!(direct.side_of(id(2), false), Some(Side::Desk));
        assert_eq!((support.customer(), direct.customer()), (Some(id(1)), None));
        assert_eq!(direct.side_of(id(3), true), None, "being an agent opens nobody's direct conversation");
    }
}
