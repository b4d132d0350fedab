//! Who is who, and who talks with whom: read from the store once, then remembered for a moment.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::domain::{Conversation, ConversationId, Members, Parties, Person, UserId};
use crate::store::{MAX_PAGE, StoreError, Stores};

/// How long a person is remembered. A change made by this process is seen at once, one made elsewhere after this.
const PERSON_TTL: Duration = Duration::from_secs(5);

/// What is remembered of each kind, at most.
const CAPACITY: u64 = 100_000;

pub(super) struct Directory {
    stores: Stores,
    people: Cache<UserId, Option<Arc<Person>>>,
    support: Cache<(), Option<Arc<Person>>>,
    // Who a conversation is between changes only when a visitor turns out to have an account.
    by_members: Cache<Members, Conversation>,
    by_id: Cache<ConversationId, Conversation>,
}

impl Directory {
    pub(super) fn new(stores: Stores) -> Self {
        Self {
            stores,
            people: Cache::builder().max_capacity(CAPACITY).time_to_live(PERSON_TTL).build(),
            support: Cache::builder().max_capacity(1).time_to_live(PERSON_TTL).build(),
            by_members: Cache::new(CAPACITY),
            by_id: Cache::new(CAPACITY),
        }
    }

    /// The person with this id.
    pub(super) async fn person(&self, id: UserId) -> Result<Option<Arc<Person>>, StoreError> {
        if let Some(known) = self.people.get(&id).await {
            return Ok(known);
        }
        let person = self.stores.users.user(id).await?.map(|user| Arc::new(Person::from(&user)));
        self.people.insert(id, person.clone()).await;
        Ok(person)
    }

    /// Reads all at once which of these people are not remembered, so that [`person`](Self::person) need not ask for each.
    pub(super) async fn look_up(&self, ids: impl IntoIterator<Item = UserId>) -> Result<(), StoreError> {
        let unknown: HashSet<UserId> = ids.into_iter().filter(|id| !self.people.contains_key(id)).collect();
        let unknown: Vec<UserId> = unknown.into_iter().collect();
        for ids in unknown.chunks(MAX_PAGE) {
            let found = self.stores.users.users(ids).await?;
            let mut found: HashMap<UserId, Arc<Person>> =
                found.iter().map(|user| (user.id, Arc::new(Person::from(user)))).collect();
            for id in ids {
                self.people.insert(*id, found.remove(id)).await;
            }
        }
        Ok(())
    }

    /// The person with this id, or one who stands in for a deleted account.
    pub(super) async fn person_or_deleted(&self, id: UserId) -> Result<Arc<Person>, StoreError> {
        Ok(self.person(id).await?.unwrap_or_else(|| Arc::new(Person::deleted(id))))
    }

    /// Who stands for the desk towards customers.
    pub(super) async fn support(&self) -> Result<Option<Arc<Person>>, StoreError> {
        if let Some(known) = self.support.get(&()).await {
            return Ok(known);
        }
        let person = self.stores.users.support_identity().await?.map(|user| Arc::new(Person::from(&user)));
        self.support.insert((), person.clone()).await;
        Ok(person)
    }

    /// Forgets a person whose account has changed.
    pub(super) async fn forget(&self, id: UserId) {
        self.people.invalidate(&id).await;
        self.support.invalidate(&()).await;
    }

    /// The conversation of these members, if it was opened.
    pub(super) async fn find(&self, members: Members) -> Result<Option<Conversation>, StoreError> {
        if let Some(known) = self.by_members.get(&members).await {
            return Ok(Some(known));
        }
        let found = self.stores.conversations.find(members).await?;
        if let Some(conversation) = found {
            self.remember(conversation).await;
        }
        Ok(found)
    }

    /// The conversation with this id.
    pub(super) async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        if let Some(known) = self.by_id.get(&id).await {
            return Ok(Some(known));
        }
        let found = self.stores.conversations.summary(id).await?.map(|summary| summary.conversation);
        if let Some(conversation) = found {
            self.remember(conversation).await;
        }
        Ok(found)
    }

    pub(super) async fn remember(&self, conversation: Conversation) {
        self.by_members.insert(conversation.members, conversation).await;
        self.by_id.insert(conversation.id, conversation).await;
    }

    /// Forgets a conversation that was given to somebody else.
    pub(super) async fn forget_conversation(&self, conversation: Conversation) {
        self.by_members.invalidate(&conversation.members).await;
        self.by_id.invalidate(&conversation.id).await;
    }

    /// The people of a conversation.
    pub(super) async fn parties(&self, conversation: Conversation) -> Result<Parties, StoreError> {
        let (customer, desk) = match conversation.members {
            Members::Support { customer } => {
                let support = self.support().await?;
                // With nobody at the desk, an id that is nobody's stands for it.
                let desk = support.unwrap_or_else(|| Arc::new(Person::deleted(UserId::from_bytes([0; 12]))));
                (self.person_or_deleted(customer).await?, desk)
            }
            Members::Direct { first, second } => {
                (self.person_or_deleted(first).await?, self.person_or_deleted(second).await?)
            }
        };
        Ok(Parties { conversation, customer, desk })
    }
}

/// The conversation that two people have, if they may have one: customers talk with the desk as one.
pub(super) fn members_between(one: &Person, other: &Person) -> Members {
    match (one.role.is_agent(), other.role.is_agent()) {
        (true, false) => Members::Support { customer: other.id },
        (false, true) => Members::Support { customer: one.id },
        (true, true) | (false, false) => Members::direct(one.id, other.id),
    }
}
