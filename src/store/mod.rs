//! The store port: where users and logs are kept.
//!
//! [`UserStore`] keeps people, [`ConversationStore`] keeps logs and what follows from them, [`ProfileStore`] what some
//! dialects know of people besides, [`BanStore`] who is shut out for a time. Every method is atomic and safe
//! to retry; what is not found is `None`. `contract` is the suite that every adapter passes.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{
    AccountStatus, Ban, Banned, BirthDate, CodePurpose, Conversation, ConversationId, DeskId, Draft, Email, Entry,
    Members, MessageExtras, MessageId, NameParts, PendingCode, PendingCodes, Reach, Role, Seq, Sessions, Side, Summary,
    Timestamp, TokenDigest, User, UserId,
};

#[cfg(test)]
pub(crate) mod contract;
pub mod files;
mod location;
pub mod mongo;
mod page;
pub mod sqlite;
mod upkeep;
#[cfg(test)]
pub(crate) mod upkeep_contract;

pub use location::{DEFAULT_DATABASE, OpenStore, StoreLocation, StoreLocationError};
pub use page::{MAX_PAGE, MAX_PAGE_BYTES, page_bytes};
pub(crate) use page::{Page, is_last_page};
pub use upkeep::{OddRecord, RestoreError, Upkeep};

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot write or read at present: disk full, file read-only, server away. A later try may succeed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It does not let this program in, or cannot be where the settings say: trying again is of no use.
    #[error("the store cannot be used with these settings: {0}")]
    Refused(String),
    /// What it holds cannot be understood.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
}

/// Why an account could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum SaveUserError {
    /// Another account has this address.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a draft was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no such conversation.
    #[error("no conversation {0}")]
    NoConversation(ConversationId),
    /// The store failed; whether the draft was kept is not known if the failure came late, so a retry must carry the
    /// same client message id.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is now this entry, and durable.
    New(Entry),
    /// The same author had appended the same client message id to the conversation before: the first entry stands.
    Already(Entry),
    /// It would have changed nothing, so there is no entry.
    NoNews,
}

/// An account to be made. The store assigns the number.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// Shown to others.
    pub name: String,
    /// `None` for a visitor.
    pub email: Option<Email>,
    /// `None` for somebody who cannot log in with a password.
    pub password_hash: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Whether they may come in.
    pub status: AccountStatus,
    /// Mailed codes that wait for their use.
    pub pending_codes: PendingCodes,
    /// When.
    pub at: Timestamp,
}

impl NewUser {
    /// The account that it becomes.
    pub(crate) fn numbered(self, number: u64) -> User {
        User {
            id: self.id,
            number,
            name: self.name,
            email: self.email,
            password_hash: self.password_hash,
            role: self.role,
            status: self.status,
            pending_codes: self.pending_codes,
            sessions: Sessions::default(),
            created_at: self.at,
            updated_at: self.at,
        }
    }
}

/// What to change of an account; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// A new name.
    pub name: Option<String>,
    /// A new address.
    pub email: Option<Email>,
    /// A new password hash.
    pub password_hash: Option<String>,
    /// A new role.
    pub role: Option<Role>,
    /// A new status.
    pub status: Option<AccountStatus>,
    /// What becomes of the pending codes.
    pub codes: CodesChange,
    /// Which tokens end. A new password, and a status that lets nobody in, end all of them whatever this says.
    pub sessions: SessionsChange,
}

impl UserChange {
    /// Which tokens end with this change.
    pub(crate) fn ended_sessions(&self) -> SessionsChange {
        let shuts_out = self.status.is_some_and(|status| status != AccountStatus::Active);
        if self.password_hash.is_some() || shuts_out { SessionsChange::EndAll } else { self.sessions }
    }
}

/// Which tokens of an account end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionsChange {
    /// None.
    #[default]
    Keep,
    /// All that were issued before this change.
    EndAll,
    /// This one, which would be good until then.
    EndOne(TokenDigest, Timestamp),
}

impl SessionsChange {
    /// Makes the change.
    pub(crate) fn make(self, sessions: &mut Sessions, at: Timestamp) {
        match self {
            Self::Keep => {}
            Self::EndAll => sessions.end_all(at),
            Self::EndOne(token, until) => sessions.end_one(token, until, at),
        }
    }
}

/// What to change of an account's pending codes.
#[derive(Debug, Clone, Default)]
pub enum CodesChange {
    /// Nothing.
    #[default]
    Keep,
    /// This one stands for the purpose, whatever stood there before.
    Put(CodePurpose, PendingCode),
    /// None stands for this purpose any more.
    Remove(CodePurpose),
    /// None stands any more.
    RemoveAll,
}

impl CodesChange {
    /// Makes the change.
    pub(crate) fn make(self, codes: &mut PendingCodes) {
        match self {
            Self::Keep => {}
            Self::Put(purpose, code) => drop(codes.insert(purpose, code)),
            Self::Remove(purpose) => drop(codes.remove(&purpose)),
            Self::RemoveAll => codes.clear(),
        }
    }
}

/// One page of accounts, oldest first.
#[derive(Debug, Clone)]
pub struct UserPage {
    /// The accounts.
    pub users: Vec<User>,
    /// How many there are on all pages.
    pub total: u64,
}

/// Keeps people.
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// Makes an account.
    async fn create_user(&self, new: NewUser) -> Result<User, SaveUserError>;
    /// The account with this id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;
    /// The accounts with these ids, in no particular order; at most [`MAX_PAGE`] ids are looked at.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError>;
    /// The account with this number.
    async fn user_by_number(&self, number: u64) -> Result<Option<User>, StoreError>;
    /// The account with this address.
    async fn user_by_email(&self, email: &Email) -> Result<Option<User>, StoreError>;
    /// Changes an account, and gives it as it is now; `None` if there is none.
    async fn update_user(&self, id: UserId, change: UserChange, at: Timestamp) -> Result<Option<User>, SaveUserError>;
    /// Deletes an account; what it said stays. Tells whether there was one.
    async fn delete_user(&self, id: UserId) -> Result<bool, StoreError>;
    /// Accounts of a role, oldest first, `skip` of them left out.
    async fn users_of_role(&self, role: Role, skip: u64, limit: usize) -> Result<UserPage, StoreError>;
    /// The first admin who is not blocked, else the first such agent.
    async fn first_agent(&self) -> Result<Option<User>, StoreError>;
    /// The ids under which customers know the desk: the first is shown to them, all are understood. They are never removed.
    async fn desk_ids(&self) -> Result<Vec<DeskId>, StoreError>;
    /// Pins the id under which customers know the desk, unless one is pinned already; gives all there are now.
    async fn pin_desk(&self, id: DeskId) -> Result<Vec<DeskId>, StoreError>;
}

/// Whose conversations a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFor {
    /// An agent: all support conversations in which something was said, and its own direct ones.
    Agent(UserId),
    /// Anybody else: those they are a member of.
    Customer(UserId),
}

impl ListFor {
    /// The viewer.
    #[must_use]
    pub const fn user(self) -> UserId {
        match self {
            Self::Agent(user) | Self::Customer(user) => user,
        }
    }

    /// Whether the viewer answers for the desk.
    #[must_use]
    pub const fn is_agent(self) -> bool {
        matches!(self, Self::Agent(_))
    }
}

/// How far a person has been delivered to in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// Everything up to here.
    pub up_to: Seq,
}

/// How far one side of a conversation has come to hear of what the other said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The side that hears.
    pub side: Side,
    /// How far.
    pub reach: Reach,
}

/// A conversation in which a person has something to catch up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Which conversation.
    pub conversation: Conversation,
    /// Delivered so far: what lies beyond is missing.
    pub after: Seq,
    /// The newest entry.
    pub last_seq: Seq,
}

/// A part of a conversation's messages, oldest first.
#[derive(Debug, Clone)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<Entry>,
    /// How many there are in all.
    pub total: u64,
}

/// One page of support conversations, the one that changed last first.
#[derive(Debug, Clone)]
pub struct SummaryPage {
    /// How matters stand in each.
    pub summaries: Vec<Summary>,
    /// How many there are on all pages.
    pub total: u64,
}

/// What belongs to a person beside their account: for dialects whose people have more than a name and an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Whose.
    pub user: UserId,
    /// A name to log in with, unique; `None` for most.
    pub username: Option<String>,
    /// The parts of the account's name, if they were given apart.
    pub name_parts: Option<NameParts>,
    /// The address they say is theirs, never confirmed; empty for none.
    pub contact_email: String,
    /// Empty for none.
    pub phone: String,
    /// `None` if it is not known.
    pub birth_date: Option<BirthDate>,
    /// SHA-256 of the secret in a visitor's session cookie, in hex.
    pub session: Option<String>,
}

impl Profile {
    /// The profile of somebody of whom nothing is known.
    #[must_use]
    pub const fn empty(user: UserId) -> Self {
        Self {
            user,
            username: None,
            name_parts: None,
            contact_email: String::new(),
            phone: String::new(),
            birth_date: None,
            session: None,
        }
    }
}

/// Why a profile was not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveProfileError {
    /// Somebody else has this username, or this session.
    #[error("somebody else has this username")]
    Taken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps what belongs to people beside their accounts.
#[async_trait]
pub trait ProfileStore: Send + Sync + 'static {
    /// Saves a profile, in place of the one before.
    async fn save_profile(&self, profile: Profile) -> Result<(), SaveProfileError>;
    /// The profiles of these people, in no particular order; at most [`MAX_PAGE`] are looked at.
    async fn profiles(&self, users: &[UserId]) -> Result<Vec<Profile>, StoreError>;
    /// The profile with the digest of this session.
    async fn profile_by_session(&self, digest: &str) -> Result<Option<Profile>, StoreError>;
    /// The profile with this username.
    async fn profile_by_username(&self, username: &str) -> Result<Option<Profile>, StoreError>;
}

/// The most bans that hold at the same time. All of them are read together, twice a second.
pub const MAX_BANS: usize = 1000;

/// Keeps who is shut out for a time.
#[async_trait]
pub trait BanStore: Send + Sync + 'static {
    /// Saves a ban, in place of an earlier one of the same person or network. Those that have ended by `now` are removed. False,
    /// and nothing is saved, if [`MAX_BANS`] others hold.
    async fn save_ban(&self, ban: Ban, now: Timestamp) -> Result<bool, StoreError>;
    /// Removes a ban. Tells whether there was one, ended or not.
    async fn lift_ban(&self, who: Banned) -> Result<bool, StoreError>;
    /// The bans that hold, the one that ends first coming first.
    async fn bans(&self, now: Timestamp) -> Result<Vec<Ban>, StoreError>;
}

/// Keeps conversations, their logs, and what follows from them.
#[async_trait]
pub trait ConversationStore: Send + Sync + 'static {
    /// The conversation of these members; opens it if there is none. Two callers at once get the same one.
    async fn open(&self, members: Members, at: Timestamp) -> Result<Conversation, StoreError>;
    /// The conversation of these members, the newest if there were several.
    async fn find(&self, members: Members) -> Result<Option<Conversation>, StoreError>;
    /// How matters stand in a conversation.
    async fn summary(&self, id: ConversationId) -> Result<Option<Summary>, StoreError>;
    /// The same, for a conversation that is known by its UUID.
    async fn summary_by_uuid(&self, uuid: u128) -> Result<Option<Summary>, StoreError>;
    /// The same, for a conversation that is known by its number.
    async fn summary_by_number(&self, number: u64) -> Result<Option<Summary>, StoreError>;
    /// Support conversations that were not removed, also those in which nothing was said, the one that changed last first.
    async fn support(&self, skip: u64, limit: usize) -> Result<SummaryPage, StoreError>;
    /// Gives a support conversation to another customer. False, and nothing changes, if they have one already.
    async fn give_to(&self, id: ConversationId, customer: UserId) -> Result<bool, StoreError>;
    /// Conversations in which something was said, newest message first; for an agent without support conversations that were removed.
    async fn list(&self, list: ListFor, limit: usize) -> Result<Vec<Summary>, StoreError>;
    /// How many messages wait to be read by this person: by the whole desk where nothing was removed, and in direct
    /// conversations, for an agent.
    async fn unread(&self, list: ListFor) -> Result<u64, StoreError>;

    /// Appends drafts, each on its own, in the order given; the answers come in the same order.
    ///
    /// The only way anything enters a conversation. Each draft gets the next seq, or none if it is no news; the same
    /// author and client message id again in the same conversation gives the first entry and changes nothing. All
    /// projections are up to date and everything is durable when this returns. Appends that wait at the same time share
    /// one sync.
    async fn append(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>>;
    /// Entries beyond `after`, oldest first, at most `limit`. Fewer if they are long: a page ends with the message by which its texts come
    /// to [`MAX_PAGE_BYTES`].
    async fn entries_after(&self, id: ConversationId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError>;
    /// The entries with these seqs, oldest first. At most [`MAX_PAGE`] are looked at.
    async fn entries_at(&self, id: ConversationId, seqs: &[Seq]) -> Result<Vec<Entry>, StoreError>;
    /// The newest `limit` messages before `before` (or of all), oldest first, without those that were deleted. Fewer if they are
    /// long: a page ends with the message by which its texts come to [`MAX_PAGE_BYTES`].
    async fn messages_before(
        &self,
        id: ConversationId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// The messages beyond the first `skip`, oldest first, at most `limit`.
    async fn messages_from(&self, id: ConversationId, skip: u64, limit: usize) -> Result<MessagePage, StoreError>;

    /// The entry of the message with this id, in whatever conversation, also if it was deleted.
    async fn message(&self, id: MessageId) -> Result<Option<Entry>, StoreError>;
    /// The same, for messages that are known by their numbers, in no particular order; at most [`MAX_PAGE`] are looked at.
    async fn messages_by_number(&self, numbers: &[u64]) -> Result<Vec<Entry>, StoreError>;
    /// Keeps what goes with a message of this author, before the message itself is appended.
    async fn save_extras(&self, message: MessageId, author: UserId, extras: MessageExtras) -> Result<(), StoreError>;
    /// The bytes of all files that came with messages of this author.
    async fn stored_by(&self, author: UserId) -> Result<u64, StoreError>;
    /// What goes with these messages; most have nothing. At most [`MAX_PAGE`] are looked at.
    async fn extras(&self, messages: &[MessageId]) -> Result<Vec<(MessageId, MessageExtras)>, StoreError>;

    /// Notes how far people have been delivered to. Not a projection; what is kept moves forward only.
    async fn advance_delivered(&self, marks: Vec<Delivered>) -> Result<(), StoreError>;
    /// How far this person has been delivered to; `None` if nothing is recorded.
    async fn delivered(&self, id: ConversationId, user: UserId) -> Result<Option<Seq>, StoreError>;
    /// Conversations in which this person has missed entries, the longest-waiting first, at most `limit`.
    ///
    /// Where nothing is recorded, a person counts as delivered up to what their side has read.
    async fn missed(&self, list: ListFor, limit: usize) -> Result<Vec<Missed>, StoreError>;

    /// The number of the newest entry of all, 0 if there is none; `None` from a store without one order of all entries.
    ///
    /// Numbers grow in the order in which entries are appended, whatever their conversation. A message's is its own
    /// [`number`](crate::domain::Message::number).
    async fn newest_number(&self) -> Result<Option<u64>, StoreError>;
    /// Entries beyond this number in the conversations of a list, with their numbers and in their order, at most `limit`.
    /// Nothing from a store without one order of all entries.
    async fn entries_since(&self, list: ListFor, after: u64, limit: usize) -> Result<Vec<(u64, Entry)>, StoreError>;

    /// Notes how far sides have come. What is kept moves forward only.
    async fn note_receipts(&self, receipts: Vec<Receipt>) -> Result<(), StoreError>;
    /// How far both sides of a conversation have come, by [`Side::index`].
    async fn receipts(&self, id: ConversationId) -> Result<[Reach; 2], StoreError>;

    /// Whether the store can be read from and written to now.
    async fn check(&self) -> Result<(), StoreError>;
}

/// All parts of one store.
#[derive(Clone)]
pub struct Stores {
    /// People.
    pub users: Arc<dyn UserStore>,
    /// Logs.
    pub conversations: Arc<dyn ConversationStore>,
    /// What belongs to people beside their accounts.
    pub profiles: Arc<dyn ProfileStore>,
    /// Who is shut out for a time.
    pub bans: Arc<dyn BanStore>,
    /// Whether other processes may write to it at the same time.
    pub is_shared: bool,
}
