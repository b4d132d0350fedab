//! Sends a message.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Messages;
use crate::desk::log::{Sent, Submission, SubmitError};
use crate::domain::{
    BodyError, ClientMessageId, ConnectionId, Conversation, ConversationId, DraftKind, MessageBody, MessageExtras,
    MessageId, Person, Side, UserId,
};
use crate::limits::RateLimited;
use crate::store::StoreError;

/// The recipient of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee {
    /// This person; an agent stands for the whole desk.
    User(UserId),
    /// The members of this conversation.
    Conversation(ConversationId),
}

/// A message to be sent.
#[derive(Debug)]
pub struct SendMessage {
    /// The author.
    pub author: Arc<Person>,
    /// The recipient.
    pub to: Addressee,
    /// The text, as the client sent it.
    pub text: String,
    /// The client's id for the message: a retry has the same.
    pub client_id: Option<ClientMessageId>,
    /// The connection that it came from, if any.
    pub origin: Option<ConnectionId>,
    /// What the message has beside its text.
    pub extras: MessageExtras,
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendMessageError {
    /// The text cannot be a message.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// There is no such person or conversation, or it is none of the author's.
    #[error("unknown recipient")]
    NoAddressee,
    /// Too many messages in too short a time.
    #[error("too many messages, try again in {:?}", .0.retry_after)]
    RateLimited(#[from] RateLimited),
    /// Too many messages wait to be stored.
    #[error("the server is busy")]
    Busy,
    /// The server is about to stop.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SubmitError> for SendMessageError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::NoConversation => Self::NoAddressee,
            SubmitError::Busy => Self::Busy,
            SubmitError::ShuttingDown => Self::ShuttingDown,
            SubmitError::Store(error) => Self::Store(error),
        }
    }
}

impl SendMessageError {
    /// Whether the message certainly was not stored. If not, it may have been.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Body(_) | Self::NoAddressee | Self::RateLimited(_) | Self::Busy => true,
            Self::ShuttingDown | Self::Store(_) => false,
        }
    }

    /// When to retry, if the error is transient.
    #[must_use]
    pub fn retry_after(&self) -> Option<RateLimited> {
        match self {
            Self::RateLimited(limited) => Some(*limited),
            Self::Busy => Some(RateLimited::from(Duration::from_secs(1))),
            Self::Body(_) | Self::NoAddressee | Self::ShuttingDown | Self::Store(_) => None,
        }
    }

    /// A stable code, for clients to branch on.
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

impl Messages {
    /// Sends a message. Returns once it waits to be stored, so that the messages of one connection are stored in the order in
    /// which they were sent without waiting for one another. `answer` is called once it is durable and published, or refused.
    #[tracing::instrument(level = "debug", name = "desk.send_message", skip_all, fields(
        user.id = %ask.author.id, to = ?ask.to, connection.id = ask.origin.map(tracing::field::display)
    ))]
    pub async fn send(&self, ask: SendMessage, answer: impl FnOnce(Result<Sent, SendMessageError>) + Send + 'static) {
        match self.prepare(ask).await {
            Ok(submission) => {
                self.0.log.submit(submission, Box::new(|outcome| answer(outcome.map_err(SendMessageError::from))));
            }
            Err(error) => answer(Err(error)),
        }
    }

    /// Sends a message, and returns once it is durable and published. A client that waits for each of its messages cannot fill
    /// the queues of others.
    ///
    /// # Errors
    /// [`SendMessageError`] if it was not stored.
    pub async fn send_and_wait(&self, ask: SendMessage) -> Result<Sent, SendMessageError> {
        let (answer, answered) = oneshot::channel();
        self.send(ask, move |outcome| drop(answer.send(outcome))).await;
        answered.await.unwrap_or(Err(SendMessageError::ShuttingDown))
    }

    async fn prepare(&self, ask: SendMessage) -> Result<Submission, SendMessageError> {
        let body = MessageBody::parse(&ask.text, self.0.max_chars)?;
        let (conversation, side) = match ask.to {
            Addressee::User(user) => self.conversation_with(&ask.author, user).await?,
            Addressee::Conversation(id) => {
                let found = self.0.directory.conversation(id).await?;
                let conversation = found.ok_or(SendMessageError::NoAddressee)?;
                let side = conversation.members.side_of_person(&ask.author);
                let side = side.ok_or(SendMessageError::NoAddressee)?;
                if !self.0.directory.may_speak(&ask.author, conversation.members).await? {
                    return Err(SendMessageError::NoAddressee);
                }
                (conversation, side)
            }
        };
        self.count_text(&ask.author, body.as_str())?;
        let id = MessageId::generate(self.0.clock.now());
        let kind = DraftKind::Message { id, body, client_id: ask.client_id, extras: ask.extras.boxed() };
        let submission = self.0.log.prepare(conversation, side, ask.author, kind).await?;
        Ok(submission.with_origin(ask.origin))
    }

    /// The conversation that `me` has with a person, opened if there is none.
    async fn conversation_with(&self, me: &Person, user: UserId) -> Result<(Conversation, Side), SendMessageError> {
        let members = self.0.directory.members_with(me, user).await?.ok_or(SendMessageError::NoAddressee)?;
        let conversation = self.0.directory.open(members, self.0.clock.now()).await?;
        let side = members.side_of_person(me).ok_or(SendMessageError::NoAddressee)?;
        Ok((conversation, side))
    }
}
