//! Imports messages that clients of the replaced server write to the same database.

use super::Log;
use super::lanes::BATCH;
use super::submission::{Submission, SubmitError, SubmitResult};
use crate::domain::{ConversationId, Draft, Seq};
use crate::store::{AppendError, Appended, StoreError};

impl Log {
    /// Appends drafts that no client of this server has sent, and publishes new entries like any others. The results are in the order
    /// of the drafts.
    ///
    /// They use the same lanes as all entries, so that a conversation is published in the order of its log. Only one batch of them
    /// waits at a time, so that a large import leaves room for others.
    pub async fn ingest(&self, mut drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>> {
        let mut appended = Vec::with_capacity(drafts.len());
        while !drafts.is_empty() {
            let rest = drafts.split_off(drafts.len().min(BATCH));
            let batch = std::mem::replace(&mut drafts, rest);
            let mut waiting = Vec::with_capacity(batch.len());
            for draft in batch {
                let id = draft.conversation;
                waiting.push((id, self.submission(draft).await.map(|submission| self.append(submission))));
            }
            for (id, outcome) in waiting {
                appended.push(match outcome {
                    Ok(outcome) => as_appended(id, outcome.await),
                    Err(error) => Err(error),
                });
            }
        }
        appended
    }

    async fn submission(&self, draft: Draft) -> Result<Submission, AppendError> {
        let id = draft.conversation;
        let conversation = self.0.directory.conversation(id).await?.ok_or(AppendError::NoConversation(id))?;
        let parties = self.0.directory.parties(conversation).await?;
        let author = self.0.directory.person_or_deleted(draft.author).await?;
        Ok(Submission::new(draft, parties, author))
    }
}

fn as_appended(id: ConversationId, outcome: SubmitResult) -> Result<Appended, AppendError> {
    match outcome {
        Ok(None) => Ok(Appended::Unchanged { end: Seq::ZERO }),
        Ok(Some(sent)) if sent.is_repeat => Ok(Appended::Already(sent.event.entry.clone())),
        Ok(Some(sent)) => Ok(Appended::New(sent.event.entry.clone())),
        Err(SubmitError::Store(error)) => Err(error.into()),
        Err(SubmitError::NoConversation) => Err(AppendError::NoConversation(id)),
        Err(error @ (SubmitError::Busy | SubmitError::ShuttingDown)) => {
            Err(StoreError::Unavailable(error.to_string()).into())
        }
    }
}
