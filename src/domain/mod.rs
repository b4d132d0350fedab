//! What Deskline is about, without any I/O.
//!
//! # Glossary: each word is used for one thing
//!
//! | word | means |
//! |---|---|
//! | customer | who asks for help: a registered account, or a *visitor* without one |
//! | agent | who answers: role `admin` or `agent`; an admin also manages users |
//! | conversation | what is said between one customer and the desk (all agents share it); a *direct* one is between two accounts |
//! | entry | one numbered thing that happened in a conversation: a message, a read mark, a status change, an edit, a deletion |
//! | seq | an entry's number in its conversation: 1, 2, 3 ... without holes, in commit order |
//! | side | one of the two parties of a conversation: the customer's or the desk's |
//! | cursor | how far somebody has been delivered to, and has read: two seqs |
//! | receipt | how far a side has been handed, and has taken, what the other said: two seqs that move forward only |
//! | connection | one live socket of one person |
//! | face | a protocol towards clients; a *dialect* is one frontend's vocabulary on it |
//! | desk | the use-cases: who may do what, and what then happens |
//!
//! Reading order: [`ids`], [`clock`], [`user`], [`message`], [`conversation`], [`entry`], [`event`].

pub mod attachment;
pub mod ban;
pub mod clock;
pub mod conversation;
pub mod desk_identity;
pub mod entry;
pub mod event;
mod follow;
pub mod ids;
pub mod message;
mod name_parts;
mod place;
mod receipt;
mod replay;
pub mod session;
pub mod user;

pub use attachment::Attachment;
pub use ban::{Ban, Banned};
pub use clock::{Clock, FixedClock, SystemClock, Timestamp};
pub use conversation::{Conversation, LastMessage, Members, Side, SideState, Status, Summary};
pub use desk_identity::{DeskId, DeskIdentity};
pub use entry::{Draft, DraftKind, Entry, EntryKind, Seq, Target};
pub use event::{DeskEvent, EntryTold, Parties, PresenceChange, StatusChange, TypingChange};
pub use follow::{ReadReach, Remainder};
pub use ids::{ConnectionId, ConversationId, MessageId, UserId};
pub use message::{BodyError, ClientMessageId, Message, MessageBody, MessageExtras, Revision};
pub use name_parts::NameParts;
pub use place::{NoPlace, Place};
pub use receipt::{MessageStatus, Reach};
pub use replay::{LastSpoken, Replay};
pub use session::{Sessions, TokenDigest, TokenStamp};
pub use user::{
    AccountStatus, BirthDate, CodePurpose, Email, EmailError, PendingCode, PendingCodes, Person, Role, User,
};
