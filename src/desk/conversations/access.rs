//! Access to a single conversation that a client names, for dialects with a socket per conversation.

use std::sync::Arc;

use crate::desk::Desk;
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

/// What somebody has to show for it.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Who they are.
    Identity(Arc<Person>),
    /// Nothing but the name. Opens a conversation named by UUID, whatever its status: to read it and to write for its customer,
    /// but not as its customer, who may be somewhere else. Nothing counts as read by them, or as delivered to them.
    NameAlone,
}

/// Somebody is in.
#[derive(Debug, Clone)]
pub struct ConversationAccess {
    /// How matters stand.
    pub summary: Summary,
    /// The customer.
    pub customer: Arc<Person>,
    /// For whom they speak: themselves, or the customer.
    pub person: Arc<Person>,
    /// On which side.
    pub side: Side,
    /// They showed who they are. Else they move no read mark, no delivery and no presence.
    pub is_identified: bool,
    /// They may write. Nobody writes for an account that is blocked or gone; what it said can still be read.
    pub may_write: bool,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such conversation with the desk.
    #[error("no such conversation")]
    NotFound,
    /// There is, but it is none of theirs. Those who could only have guessed its name are told [`Self::NotFound`].
    #[error("the conversation is somebody else's")]
    Forbidden,
    /// Its customer is shut out for a time, and whoever asks shows nothing but its name.
    #[error(transparent)]
    Banned(#[from] StillBanned),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Desk {
    /// Lets somebody into the support conversation that they name, if it is theirs.
    ///
    /// # Errors
    /// [`AccessError`] says why not.
    pub async fn access(&self, name: ConversationName, claim: &Credential) -> Result<ConversationAccess, AccessError> {
        let conversations = &self.0.stores.conversations;
        let found = match name {
            ConversationName::Uuid(uuid) => conversations.summary_by_uuid(uuid).await?,
            ConversationName::Number(number) => conversations.summary_by_number(number).await?,
        };
        let summary = found.ok_or(AccessError::NotFound)?;
        let Members::Support { customer } = summary.conversation.members else { return Err(AccessError::NotFound) };
        if self.0.directory.is_of_the_deleted(summary.conversation).await? {
            return Err(AccessError::NotFound);
        }
        let by_uuid = matches!(name, ConversationName::Uuid(_));
        let (person, is_identified, may_write) = match claim {
            Credential::Identity(person) => {
                let side = summary.conversation.members.side_of(person.id, person.role.is_agent());
                side.ok_or(AccessError::Forbidden)?;
                (person.clone(), true, true)
            }
            Credential::NameAlone if !by_uuid => return Err(AccessError::NotFound),
            Credential::NameAlone => {
                self.0.accounts.bans().check_person(customer)?;
                let account = self.0.stores.users.user(customer).await?;
                let is_active = account.as_ref().is_some_and(|account| account.status == AccountStatus::Active);
                let person = account.map_or_else(|| Person::deleted(customer), |account| Person::from(&account));
                (Arc::new(person), false, is_active)
            }
        };
        let side = if person.id == customer { Side::Customer } else { Side::Desk };
        let customer = self.0.directory.person_or_deleted(customer).await?;
        Ok(ConversationAccess { summary, customer, person, side, is_identified, may_write })
    }

    /// The support conversation of a customer, opened if need be; and whether it had to be.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn own_conversation(&self, customer: &Arc<Person>) -> Result<(ConversationAccess, bool), StoreError> {
        let members = Members::Support { customer: customer.id };
        let known = self.0.stores.conversations.find(members).await?;
        let conversation = match known {
            Some(known) => known,
            None => self.open_conversation(members).await?,
        };
        let summary = self.0.stores.conversations.summary(conversation.id).await?;
        let summary = summary.unwrap_or_else(|| Summary::opened(conversation));
        let (customer, person) = (customer.clone(), customer.clone());
        let entered = ConversationAccess {
            summary,
            customer,
            person,
            side: Side::Customer,
            is_identified: true,
            may_write: true,
        };
        Ok((entered, known.is_none()))
    }

    /// How matters stand in a conversation that somebody is in.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn summary(&self, id: ConversationId) -> Result<Option<Summary>, StoreError> {
        self.0.stores.conversations.summary(id).await
    }
}
