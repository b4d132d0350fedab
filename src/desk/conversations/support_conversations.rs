//! Support conversations with their customers, for dialects that list or show them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{ConversationAccess, Conversations};
use crate::domain::{Person, Profile, Summary, UserId};
use crate::store::{StoreError, SummaryPage};

/// A support conversation with its customer.
#[derive(Debug)]
pub struct SupportConversation {
    /// The conversation's current state.
    pub summary: Summary,
    /// Its customer.
    pub customer: Arc<Person>,
    /// The customer's profile.
    pub profile: Profile,
}

impl Conversations {
    /// All support conversations with their customers, the one that changed last first; and how many there are. Those of deleted
    /// accounts are counted, so that pages fit together, and left out.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn support_conversations(
        &self,
        skip: u64,
        limit: usize,
    ) -> Result<(Vec<SupportConversation>, u64), StoreError> {
        let SummaryPage { summaries, total } = self.0.store.support(skip, limit).await?;
        let customers: Vec<UserId> =
            summaries.iter().filter_map(|summary| summary.conversation.members.customer()).collect();
        self.0.directory.look_up(customers.iter().copied()).await?;
        let mut profiles: HashMap<UserId, Profile> = HashMap::new();
        if !customers.is_empty() {
            let found = self.0.users.users(&customers).await?;
            profiles.extend(found.into_iter().map(|user| (user.id, user.profile)));
        }
        let mut listed = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let Some(id) = summary.conversation.members.customer() else { continue };
            let Some(customer) = self.0.directory.person(id).await? else { continue };
            let profile = profiles.remove(&id).unwrap_or_default();
            listed.push(SupportConversation { summary, customer, profile });
        }
        Ok((listed, total))
    }

    /// One conversation with its customer.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn support_conversation(&self, access: &ConversationAccess) -> Result<SupportConversation, StoreError> {
        let (id, conversation) = (access.customer.id, access.summary.conversation.id);
        let profile = self.0.users.user(id).await?.map(|user| user.profile);
        let summary = self.0.store.summary(conversation).await?.unwrap_or_else(|| access.summary.clone());
        let customer = self.0.directory.person_or_deleted(id).await?;
        Ok(SupportConversation { summary, customer, profile: profile.unwrap_or_default() })
    }
}
