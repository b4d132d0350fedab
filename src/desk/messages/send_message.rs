//! To say something.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::desk::Desk;
use crate::desk::log::{Answer, Submission, Waiting};
use crate::domain::{
    BodyError, ClientMessageId, ConnectionId, Conversation, ConversationId, Draft, DraftKind, EntryEvent, Members,
    MessageBody, MessageExtras, MessageId, Person, Side, UserId,
};
use crate::limits::RateLimited;
use crate::store::StoreError;

/// Whom a message goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee {
    /// This person; an agent stands for the whole desk.
    User(UserId),
    /// Everybody in this conversation.
    Conversation(ConversationId),
}

/// What is asked.
#[derive(Debug)]
pub struct SendMessage {
    /// Who speaks.
    pub author: Arc<Person>,
    /// To whom.
    pub to: Addressee,
    /// What, as the client wrote it.
    pub text: String,
    /// What the client calls it: a retry has the same.
    pub client_id: Option<ClientMessageId>,
    /// Where it came from, if from a live connection.
    pub origin: Option<ConnectionId>,
    /// What goes with it beside its text.
    pub extras: MessageExtras,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The entry it is.
    pub told: Arc<EntryEvent>,
    /// It had been sent before, and was told to no one now.
    pub is_repeat: bool,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum SendMessageError {
    /// The text cannot be a message.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// There is no such person or conversation, or it is none of the author's.
    #[error("unknown recipient")]
    NoAddressee,
    /// Too many messages in too short a time.
    #[error("too many messages, try again in {0:?}")]
    RateLimited(Duration),
    /// Too many messages wait to be kept.
    #[error("the server is busy")]
    Busy,
    /// The server is about to stop.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SendMessageError {
    /// Whether the message is surely not kept, and will not be: else it may be there all the same.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Body(_) | Self::NoAddressee | Self::RateLimited(_) | Self::Busy => true,
            Self::ShuttingDown | Self::Store(_) => false,
        }
    }

    /// When another try is worth it, if the refusal passes soon.
    #[must_use]
    pub fn retry_after(&self) -> Option<RateLimited> {
        match self {
            Self::RateLimited(wait) => Some(RateLimited::from(*wait)),
            Self::Busy => Some(RateLimited::from(Duration::from_secs(1))),
            Self::Body(_) | Self::NoAddressee | Self::ShuttingDown | Self::Store(_) => None,
        }
    }

    /// A stable word for it, for clients to branch on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Body(BodyError::TooLong { .. }) => "too_large",
            Self::Body(BodyError::Blank | BodyError::Nul) => "invalid",
            Self::NoAddressee => "not_found",
            Self::RateLimited(_) => "rate_limited",
            Self::Busy => "busy",
            Self::ShuttingDown => "shutting_down",
            Self::Store(_) => "storage_unavailable",
        }
    }
}

impl Desk {
    /// Keeps a message, then tells it, then answers.
    ///
    /// Returns as soon as the message waits in line, so that one connection's messages are kept in the order in which it
    /// sent them without each waiting for the one before. `answer` is called once it is durable and told, or refused.
    pub async fn send_message(&self, ask: SendMessage, answer: Answer) {
        match self.prepare(ask).await {
            Ok(mut submission) => {
                submission.waiting = Some(Waiting::ForMessage(answer));
                self.0.journal.submit(submission);
            }
            Err(error) => answer(Err(error)),
        }
    }

    /// The same, for who waits for the outcome before anything else: that keeps one client from filling the line in which all
    /// messages wait.
    ///
    /// # Errors
    /// [`SendMessageError`] says why it was not kept.
    pub async fn send_and_wait(&self, ask: SendMessage) -> Result<Sent, SendMessageError> {
        let (answer, answered) = oneshot::channel();
        self.send_message(ask, Box::new(move |outcome| drop(answer.send(outcome)))).await;
        answered.await.unwrap_or(Err(SendMessageError::ShuttingDown))
    }

    async fn prepare(&self, ask: SendMessage) -> Result<Submission, SendMessageError> {
        let body = MessageBody::parse(&ask.text, self.0.settings.max_message_chars)?;
        let (conversation, side) = match ask.to {
            Addressee::User(user) => self.conversation_with(&ask.author, user).await?,
            Addressee::Conversation(id) => {
                let found = self.0.directory.conversation(id).await?;
                let conversation = found.ok_or(SendMessageError::NoAddressee)?;
                let side = conversation.members.side_of(ask.author.id, ask.author.role.is_agent());
                let side = side.ok_or(SendMessageError::NoAddressee)?;
                if !self.0.directory.may_speak(&ask.author, conversation.members).await? {
                    return Err(SendMessageError::NoAddressee);
                }
                (conversation, side)
            }
        };
        let limits = if ask.author.email.is_empty() { &self.0.visitors } else { &self.0.limits };
        limits.take_text(ask.author.id, body.as_str()).map_err(SendMessageError::RateLimited)?;
        let at = self.0.clock.now();
        let id = MessageId::generate(at);
        let kind = DraftKind::Message { id, body, client_id: ask.client_id, extras: ask.extras.boxed() };
        Ok(Submission {
            draft: Draft { conversation: conversation.id, author: ask.author.id, side, at, kind },
            parties: self.0.directory.parties(conversation).await?,
            author: ask.author,
            origin: ask.origin,
            attachment_path: None,
            waiting: None,
        })
    }

    /// The conversation that `me` has with a person, opened if need be.
    async fn conversation_with(&self, me: &Person, user: UserId) -> Result<(Conversation, Side), SendMessageError> {
        let members = self.0.directory.members_with(me, user).await?.ok_or(SendMessageError::NoAddressee)?;
        let conversation = self.open_conversation(members).await?;
        let side = members.side_of(me.id, me.role.is_agent()).ok_or(SendMessageError::NoAddressee)?;
        Ok((conversation, side))
    }

    /// The conversation of these members, opened if need be.
    pub(in crate::desk) async fn open_conversation(&self, members: Members) -> Result<Conversation, StoreError> {
        if let Some(known) = self.0.directory.find(members).await? {
            return Ok(known);
        }
        let opened = self.0.stores.conversations.open(members, self.0.clock.now()).await?;
        self.0.directory.remember(opened).await;
        Ok(opened)
    }

    /// The desk as `viewer` sees it when they ask whom to write to; `None` if there has never been an agent.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn support_identity(&self, viewer: &Person) -> Result<Option<Arc<Person>>, StoreError> {
        let desk = self.0.directory.desk().await?;
        Ok(if desk.is_unpinned() { None } else { Some(desk.seen_by(viewer).clone()) })
    }
}
