//! Access to a conversation that a client names, for dialects with a socket per conversation.

use std::sync::Arc;

use super::Conversations;
use crate::domain::{AccountStatus, ConversationId, Members, Person, Side, Summary};
use crate::limits::StillBanned;
use crate::store::StoreError;

/// How a client names a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationName {
    /// By its unguessable UUID.
    Uuid(u128),
    /// By its number, which anybody can guess.
    Number(u64),
}

/// What a client presents to get access.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The person it has authenticated as.
    Identity(Arc<Person>),
    /// Only the name. Grants access to a conversation named by UUID, whatever its status: to read it and to write for its
    /// customer. Nothing counts as read by the customer, or as delivered to them.
    NameAlone,
}

/// Access that was granted.
#[derive(Debug, Clone)]
pub struct ConversationAccess {
    /// The conversation's current state.
    pub summary: Summary,
    /// The customer.
    pub customer: Arc<Person>,
    /// The person they act for: themselves, or the customer.
    pub person: Arc<Person>,
    /// On which side.
    pub side: Side,
    /// Whether they have authenticated. If not, they move no read mark and no cursor, and are not present.
    pub is_identified: bool,
    /// Whether they may write. Nobody writes for an account that is blocked or deleted; its messages can still be read.
    pub may_write: bool,
}

/// Why access was refused.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such conversation with the desk.
    #[error("no such conversation")]
    NotFound,
    /// There is, but it is somebody else's. For a name that can be guessed, [`Self::NotFound`] instead.
    #[error("the conversation is somebody else's")]
    Forbidden,
    /// Its customer is banned, and the client presents nothing but its name.
    #[error(transparent)]
    Banned(#[from] StillBanned),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Conversations {
    /// Grants access to the support conversation that a client names, if it is theirs.
    ///
    /// # Errors
    /// [`AccessError`] if it is refused, or the store fails.
    #[tracing::instrument(level = "debug", name = "desk.access_conversation", skip_all)]
    pub async fn access(
        &self,
        name: ConversationName,
        credential: &Credential,
    ) -> Result<ConversationAccess, AccessError> {
        let conversations = &self.0.store;
        let found = match name {
            ConversationName::Uuid(uuid) => conversations.summary_by_uuid(uuid).await?,
            ConversationName::Number(number) => conversations.summary_by_number(number).await?,
        };
        let summary = found.ok_or(AccessError::NotFound)?;
        let customer = summary.conversation.members.customer().ok_or(AccessError::NotFound)?;
        if self.0.directory.is_of_the_deleted(summary.conversation).await? {
            return Err(AccessError::NotFound);
        }
        let by_uuid = matches!(name, ConversationName::Uuid(_));
        let (person, is_identified, may_write) = match credential {
            Credential::Identity(person) => {
                let side = summary.conversation.members.side_of_person(person);
                side.ok_or(AccessError::Forbidden)?;
                (person.clone(), true, true)
            }
            Credential::NameAlone if !by_uuid => return Err(AccessError::NotFound),
            Credential::NameAlone => {
                self.0.accounts.bans().check_person(customer)?;
                let account = self.0.users.user(customer).await?;
                let is_active = account.as_ref().is_some_and(|account| account.status == AccountStatus::Active);
                let person = account.map_or_else(|| Person::deleted(customer), |account| Person::from(&account));
                (Arc::new(person), false, is_active)
            }
        };
        let side = if person.id == customer { Side::Customer } else { Side::Desk };
        let customer = self.0.directory.person_or_deleted(customer).await?;
        Ok(ConversationAccess { summary, customer, person, side, is_identified, may_write })
    }

    /// The support conversation of a customer, opened if there is none; and whether it was opened.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    #[tracing::instrument(level = "debug", name = "desk.own_conversation", skip_all, fields(user.id = %customer.id))]
    pub async fn own_conversation(&self, customer: &Arc<Person>) -> Result<(ConversationAccess, bool), StoreError> {
        let members = Members::Support { customer: customer.id };
        let known = self.0.directory.find(members).await?;
        let conversation = match known {
            Some(known) => known,
            None => self.0.directory.open(members, self.0.clock.now()).await?,
        };
        let summary = self.0.store.summary(conversation.id).await?;
        let summary = summary.unwrap_or_else(|| Summary::opened(conversation));
        let (customer, person) = (customer.clone(), customer.clone());
        let access = ConversationAccess {
            summary,
            customer,
            person,
            side: Side::Customer,
            is_identified: true,
            may_write: true,
        };
        Ok((access, known.is_none()))
    }

    /// The current state of a conversation.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn summary(&self, id: ConversationId) -> Result<Option<Summary>, StoreError> {
        self.0.store.summary(id).await
    }

    /// The desk as `viewer` sees it, as the recipient of messages; `None` if there has never been an agent.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn support_identity(&self, viewer: &Person) -> Result<Option<Arc<Person>>, StoreError> {
        let desk = self.0.directory.desk().await?;
        Ok(if desk.is_unpinned() { None } else { Some(desk.seen_by(viewer).clone()) })
    }
}
