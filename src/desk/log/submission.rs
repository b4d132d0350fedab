//! An entry on its way into the log, and where its outcome is reported.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Log;
use crate::domain::{ConnectionId, Conversation, Draft, DraftKind, EntryEvent, Message, Parties, Person, Side};
use crate::store::{AppendError, Appended, StoreError};

/// A stored entry.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The entry.
    pub event: Arc<EntryEvent>,
    /// It had been stored before, and was not published again.
    pub is_repeat: bool,
}

/// Why an entry was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// There is no such conversation.
    #[error("no such conversation")]
    NoConversation,
    /// Too many entries wait to be stored.
    #[error("the server is busy")]
    Busy,
    /// The server is about to stop.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Called once an entry is durable and published, or refused.
pub(in crate::desk) type OnStored = Box<dyn FnOnce(Result<Sent, SubmitError>) + Send>;

/// The outcome of a submission; `None` if it changed nothing.
pub(in crate::desk) type SubmitResult = Result<Option<Sent>, SubmitError>;

pub(super) enum Waiting {
    /// For a message, which always becomes an entry.
    Message(OnStored),
    /// For an entry that may change nothing.
    Entry(oneshot::Sender<SubmitResult>),
}

/// An entry on its way into the log.
pub(in crate::desk) struct Submission {
    pub(super) draft: Draft,
    pub(super) publication: Publication,
}

/// Why something is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be stored.
    Entry,
    /// To have stored entries published that were not; it changes nothing itself.
    Check,
}

/// What publishing an entry needs besides the entry.
pub(super) struct Publication {
    pub(super) parties: Parties,
    pub(super) author: Arc<Person>,
    pub(super) origin: Option<ConnectionId>,
    /// The message that an edit or a deletion is about.
    pub(super) about: Option<Box<Message>>,
    pub(super) purpose: Purpose,
    /// `None` if nobody waits for the outcome.
    pub(super) waiting: Option<Waiting>,
}

impl Submission {
    pub(super) fn new(draft: Draft, parties: Parties, author: Arc<Person>) -> Self {
        let purpose = Purpose::Entry;
        Self { draft, publication: Publication { parties, author, origin: None, about: None, purpose, waiting: None } }
    }

    /// Only checks whether there are stored entries that were not published.
    pub(super) const fn into_check(mut self) -> Self {
        self.publication.purpose = Purpose::Check;
        self
    }

    /// Names the connection that it came from.
    pub(in crate::desk) fn with_origin(mut self, origin: Option<ConnectionId>) -> Self {
        self.publication.origin = origin;
        self
    }

    /// Names the message that an edit or a deletion is about.
    pub(in crate::desk) fn about(mut self, message: Message) -> Self {
        self.publication.about = Some(Box::new(message));
        self
    }

    /// Bytes of its text.
    pub(super) fn bytes(&self) -> usize {
        match &self.draft.kind {
            DraftKind::Message { body, .. } | DraftKind::Edit { body, .. } => body.as_str().len(),
            DraftKind::Read { .. } | DraftKind::ChangeStatus { .. } | DraftKind::Delete { .. } => 0,
        }
    }

    pub(super) fn refuse(self, error: SubmitError) {
        if let Some(waiting) = self.publication.waiting {
            waiting.answer(Err(error));
        }
    }
}

impl Waiting {
    pub(super) fn answer(self, outcome: SubmitResult) {
        match self {
            Self::Message(answer) => match outcome {
                Ok(Some(sent)) => answer(Ok(sent)),
                Ok(None) => answer(Err(unanswered().into())),
                Err(error) => answer(Err(error)),
            },
            // The receiver is dropped if the caller has gone away.
            Self::Entry(answer) => drop(answer.send(outcome)),
        }
    }
}

impl Log {
    /// Prepares a change to a conversation: adds the timestamp and the people whom it concerns.
    pub(in crate::desk) async fn prepare(
        &self,
        conversation: Conversation,
        side: Side,
        author: Arc<Person>,
        kind: DraftKind,
    ) -> Result<Submission, StoreError> {
        let parties = self.0.directory.parties(conversation).await?;
        let draft = Draft { conversation: conversation.id, author: author.id, side, at: self.0.clock.now(), kind };
        Ok(Submission::new(draft, parties, author))
    }

    /// Puts a message into its lane. `answer` is called once it is durable and published, or refused.
    pub(in crate::desk) fn submit(&self, mut submission: Submission, answer: OnStored) {
        submission.publication.waiting = Some(Waiting::Message(answer));
        self.push(submission);
    }

    /// Puts an entry into its lane at once. The future completes when it is durable and published, or refused.
    pub(in crate::desk) fn append(&self, mut submission: Submission) -> impl Future<Output = SubmitResult> + use<> {
        let (answer, answered) = oneshot::channel();
        submission.publication.waiting = Some(Waiting::Entry(answer));
        self.push(submission);
        async { answered.await.unwrap_or_else(|_| Err(unanswered().into())) }
    }
}

impl From<AppendError> for SubmitError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::NoConversation(_) => Self::NoConversation,
            AppendError::Store(error) => Self::Store(error),
        }
    }
}

/// What the store made of a submission.
pub(super) type Stored = (Publication, Result<Appended, AppendError>);

/// The store returned no result for a draft.
pub(super) fn unanswered() -> StoreError {
    StoreError::Unavailable("the outcome of an append is unknown".into())
}
