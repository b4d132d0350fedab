//! To take in what was said elsewhere: by clients of the replaced server, which writes to the same database.

use tokio::sync::oneshot;

use super::Desk;
use super::journal::{Answer, Submission};
use super::send_message::{SendMessageError, Sent};
use crate::domain::{Draft, MessageExtras};
use crate::store::{AppendError, Appended, StoreError};

impl Desk {
    /// Appends drafts that no client of ours has sent, and tells what is new to those whom it concerns, like any other entry.
    /// They wait in the same line as everything else, so that a conversation is told in the order of its log. The answers
    /// come in the order of the drafts.
    pub async fn take_in(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>> {
        let mut answers = Vec::with_capacity(drafts.len());
        for draft in drafts {
            answers.push(self.put_in_line(draft).await);
        }
        let mut appended = Vec::with_capacity(answers.len());
        for answer in answers {
            appended.push(match answer {
                Ok(answer) => answer.await.unwrap_or(Ok(Appended::NoNews)),
                Err(error) => Err(error),
            });
        }
        appended
    }

    /// Gives where the answer will come; nothing comes for what is no news.
    async fn put_in_line(&self, draft: Draft) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, AppendError> {
        let id = draft.conversation;
        let conversation = self.0.directory.conversation(id).await?.ok_or(AppendError::NoConversation(id))?;
        let parties = self.0.directory.parties(conversation).await?;
        let author = self.0.directory.person_or_deleted(draft.author).await?;
        let (answer, answered) = oneshot::channel();
        let answer = move |outcome: Result<Sent, SendMessageError>| {
            // Nobody listens any more if the server is about to stop.
            drop(answer.send(match outcome {
                Ok(Sent { told, is_repeat: false }) => Ok(Appended::New(told.entry.clone())),
                Ok(Sent { told, is_repeat: true }) => Ok(Appended::Already(told.entry.clone())),
                Err(SendMessageError::Store(error)) => Err(error.into()),
                Err(SendMessageError::NoAddressee) => Err(AppendError::NoConversation(id)),
                Err(error) => Err(StoreError::Unavailable(error.to_string()).into()),
            }));
        };
        let answer: Answer = Box::new(answer);
        let extras = MessageExtras::default();
        self.0.journal.submit(Submission { draft, parties, author, origin: None, extras, answer: Some(answer) });
        Ok(answered)
    }
}
