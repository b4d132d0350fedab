//! The domain: ids, users, conversations, entries and events, without any I/O.
//!
//! The glossary, in which each word means one thing, is in `docs/ARCHITECTURE.md`.
//!
//! Reading order: [`ids`], [`clock`], [`user`], [`message`], [`conversation`], [`entry`], [`event`].

mod apply;
pub mod attachment;
pub mod ban;
pub mod clock;
pub mod conversation;
pub mod desk_identity;
pub mod entry;
pub mod event;
pub mod ids;
pub mod message;
mod name_parts;
mod place;
mod profile;
mod receipt;
mod replay;
pub mod session;
pub mod user;

pub use apply::{ReadEffect, Recount};
pub use attachment::Attachment;
pub use ban::{Ban, Banned};
pub use clock::{Clock, FixedClock, SystemClock, Timestamp};
pub use conversation::{Conversation, LastMessage, Members, Side, SideState, Status, Summary};
pub use desk_identity::{DeskId, DeskIdentity};
pub use entry::{Draft, DraftKind, Entry, EntryKind, Seq, Target};
pub use event::{DeskEvent, EntryEvent, Parties, PresenceChange, StatusChange, TypingChange};
pub use ids::{ConnectionId, ConversationId, MessageId, UserId};
pub use message::{BodyError, ClientMessageId, Message, MessageBody, MessageExtras, Revision};
pub use name_parts::NameParts;
pub use place::{NoPlace, Place};
pub use profile::Profile;
pub use receipt::{MessageStatus, ReceiptCursor};
pub use replay::{LastSpoken, Replay};
pub use session::{Sessions, TokenDigest, TokenStamp};
pub use user::{
    AccountStatus, BirthDate, CodePurpose, Email, EmailError, PendingCode, PendingCodes, Person, Role, User,
};
