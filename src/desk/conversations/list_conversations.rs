//! To see whom one talks with, and what waits to be read.

use std::sync::Arc;

use crate::desk::Desk;
use crate::domain::{LastMessage, Members, Person, Summary, UserId};
use crate::store::{ListFor, StoreError};

/// One line of a conversation list.
#[derive(Debug)]
pub struct ListedConversation {
    /// How matters stand.
    pub summary: Summary,
    /// The newest message: there is always one.
    pub last_message: LastMessage,
    /// Who is on the other side.
    pub other: Arc<Person>,
    /// How many of their messages the viewer's side has not read.
    pub unread: u64,
}

impl Desk {
    /// The viewer's conversations, newest message first. Those with a deleted account are left out.
    ///
    /// What an agent has marked as read counts as read, also if the mark is under way still.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn list_conversations(
        &self,
        viewer: &Person,
        limit: usize,
    ) -> Result<Vec<ListedConversation>, StoreError> {
        let marks = self.0.own_marks.settled(viewer.id).await;
        let listed = self.read_list(viewer, limit).await?;
        if let Some(mut marks) = marks
            && marks.are_expected(&listed, self.0.clock.now())
            && marks.come().await
        {
            return self.read_list(viewer, limit).await;
        }
        Ok(listed)
    }

    async fn read_list(&self, viewer: &Person, limit: usize) -> Result<Vec<ListedConversation>, StoreError> {
        let summaries = self.0.stores.conversations.list(list_for(viewer), limit).await?;
        let others = summaries.iter().filter_map(|summary| other_than(viewer.id, summary.conversation.members));
        self.0.directory.look_up(others).await?;
        let mut listed = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let members = summary.conversation.members;
            let Some(side) = members.side_of(viewer.id, viewer.role.is_agent()) else { continue };
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

    /// How many messages wait to be read by the viewer; for an agent, by the desk.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn unread_count(&self, viewer: &Person) -> Result<u64, StoreError> {
        self.0.own_marks.settled(viewer.id).await;
        self.0.stores.conversations.unread(list_for(viewer)).await
    }
}

/// Whose conversations a person sees.
pub(in crate::desk) const fn list_for(viewer: &Person) -> ListFor {
    if viewer.role.is_agent() { ListFor::Agent(viewer.id) } else { ListFor::Customer(viewer.id) }
}

/// The other member; `None` if that is the desk.
pub(in crate::desk) fn other_than(viewer: UserId, members: Members) -> Option<UserId> {
    match members {
        Members::Support { customer } if customer == viewer => None,
        Members::Support { customer } => Some(customer),
        Members::Direct { first, second } => Some(if first == viewer { second } else { first }),
    }
}
