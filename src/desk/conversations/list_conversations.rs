//! Lists the conversations of a person.

use std::sync::Arc;

use super::Conversations;
use crate::desk::directory::{list_for, other_than};
use crate::domain::{LastMessage, Person, Summary};
use crate::store::StoreError;

/// One line of a conversation list.
#[derive(Debug)]
pub struct ListedConversation {
    /// The conversation's current state.
    pub summary: Summary,
    /// The newest message; a conversation without messages is not listed.
    pub last_message: LastMessage,
    /// Who is on the other side.
    pub other: Arc<Person>,
    /// How many of their messages the viewer's side has not read.
    pub unread: u64,
}

impl Conversations {
    /// The viewer's conversations, newest message first. Those with a deleted account are left out.
    ///
    /// An agent's own read marks count even if they are still being written.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    #[tracing::instrument(level = "debug", name = "desk.list_conversations", skip_all, fields(user.id = %viewer.id))]
    pub async fn list(&self, viewer: &Person, limit: usize) -> Result<Vec<ListedConversation>, StoreError> {
        let marks = self.0.messages.settled_marks(viewer.id).await;
        let listed = self.read_list(viewer, limit).await?;
        let Some(mut marks) = marks else { return Ok(listed) };
        let now = self.0.clock.now();
        let is_expected = |one: &ListedConversation| {
            one.unread > 0 && marks.is_expected(one.summary.conversation.id, one.last_message.at, now)
        };
        if listed.iter().any(is_expected) && marks.arrive().await {
            return self.read_list(viewer, limit).await;
        }
        Ok(listed)
    }

    async fn read_list(&self, viewer: &Person, limit: usize) -> Result<Vec<ListedConversation>, StoreError> {
        let summaries = self.0.store.list(list_for(viewer), limit).await?;
        let others = summaries.iter().filter_map(|summary| other_than(viewer.id, summary.conversation.members));
        self.0.directory.look_up(others).await?;
        let mut listed = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let members = summary.conversation.members;
            let Some(side) = members.side_of_person(viewer) else { continue };
            let other = match other_than(viewer.id, members) {
                Some(other) => self.0.directory.person(other).await?,
                None => Some(self.0.directory.desk().await?.towards(viewer.id).clone()),
            };
            if let (Some(other), Some(last_message)) = (other, summary.last_message.clone()) {
                let unread = summary.side(side).unread;
                listed.push(ListedConversation { summary, last_message, other, unread });
            }
        }
        Ok(listed)
    }

    /// How many messages the viewer's side has not read.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn unread_count(&self, viewer: &Person) -> Result<u64, StoreError> {
        self.0.messages.settled_marks(viewer.id).await;
        self.0.store.unread(list_for(viewer)).await
    }
}
