//! Imports messages that clients of the replaced server write to the same database.

use super::journal::{Outcome, Submission};
use crate::desk::Desk;
use crate::desk::messages::SendMessageError;
use crate::domain::{ConversationId, Draft};
use crate::store::{AppendError, Appended, StoreError};

impl Desk {
    /// Appends drafts that no client of ours has sent, and tells what is new to those whom it concerns, like any other entry.
    /// They wait in the same line as everything else, so that a conversation is told in the order of its log. The answers
    /// come in the order of the drafts.
    pub async fn ingest(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>> {
        let mut in_line = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let id = draft.conversation;
            in_line.push((id, self.submission(draft).await.map(|submission| self.append(submission))));
        }
        let mut appended = Vec::with_capacity(in_line.len());
        for (id, kept) in in_line {
            appended.push(match kept {
                Ok(kept) => as_the_store_says_it(id, kept.await),
                Err(error) => Err(error),
            });
        }
        appended
    }

    async fn submission(&self, draft: Draft) -> Result<Submission, AppendError> {
        let id = draft.conversation;
        let conversation = self.0.directory.conversation(id).await?.ok_or(AppendError::NoConversation(id))?;
        let parties = self.0.directory.parties(conversation).await?;
        let author = self.0.directory.person_or_deleted(draft.author).await?;
        Ok(Submission { draft, parties, author, origin: None, attachment_path: None, waiting: None })
    }
}

fn as_the_store_says_it(id: ConversationId, outcome: Outcome) -> Result<Appended, AppendError> {
    match outcome {
        Ok(None) => Ok(Appended::Unchanged),
        Ok(Some(sent)) if sent.is_repeat => Ok(Appended::Already(sent.told.entry.clone())),
        Ok(Some(sent)) => Ok(Appended::New(sent.told.entry.clone())),
        Err(SendMessageError::Store(error)) => Err(error.into()),
        Err(SendMessageError::NoAddressee) => Err(AppendError::NoConversation(id)),
        Err(error) => Err(StoreError::Unavailable(error.to_string()).into()),
    }
}
