//! People and conversations, cached for a short time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moka::future::Cache;

use crate::domain::{
    AccountStatus, Conversation, ConversationId, DeskId, DeskIdentity, Members, Parties, Person, Timestamp, User,
    UserId,
};
use crate::store::{ConversationStore, ListFor, MAX_PAGE, StoreError, Stores, UserStore};

/// How long a person is cached. A change by this process takes effect at once, one by another process after this time.
const PERSON_TTL: Duration = Duration::from_secs(5);

/// Entries of each cache, at most.
const CAPACITY: u64 = 100_000;

pub(super) struct Directory {
    users: Arc<dyn UserStore>,
    conversations: Arc<dyn ConversationStore>,
    people: Cache<UserId, Option<Arc<Person>>>,
    desk: Cache<(), Arc<DeskIdentity>>,
    /// The pinned ids. They never change; only an import adds to them.
    desk_ids: OnceLock<Vec<DeskId>>,
    // The members of a conversation change only when a visitor is merged into an account.
    by_members: Cache<Members, Conversation>,
    by_id: Cache<ConversationId, Conversation>,
}

impl Directory {
    pub(super) fn new(stores: &Stores) -> Self {
        Self {
            users: stores.users.clone(),
            conversations: stores.conversations.clone(),
            people: Cache::builder().max_capacity(CAPACITY).time_to_live(PERSON_TTL).build(),
            desk: Cache::builder().max_capacity(1).time_to_live(PERSON_TTL).build(),
            desk_ids: OnceLock::new(),
            by_members: Cache::new(CAPACITY),
            by_id: Cache::new(CAPACITY),
        }
    }

    /// The person with this id.
    pub(super) async fn person(&self, id: UserId) -> Result<Option<Arc<Person>>, StoreError> {
        if let Some(known) = self.people.get(&id).await {
            return Ok(known);
        }
        let person = self.users.user(id).await?.map(|user| Arc::new(Person::from(&user)));
        self.people.insert(id, person.clone()).await;
        Ok(person)
    }

    /// Loads these people into the cache with one query, so that [`person`](Self::person) needs none.
    pub(super) async fn look_up(&self, ids: impl IntoIterator<Item = UserId>) -> Result<(), StoreError> {
        let unknown: HashSet<UserId> = ids.into_iter().filter(|id| !self.people.contains_key(id)).collect();
        let unknown: Vec<UserId> = unknown.into_iter().collect();
        for ids in unknown.chunks(MAX_PAGE) {
            let found = self.users.users(ids).await?;
            let mut found: HashMap<UserId, Arc<Person>> =
                found.iter().map(|user| (user.id, Arc::new(Person::from(user)))).collect();
            for id in ids {
                self.people.insert(*id, found.remove(id)).await;
            }
        }
        Ok(())
    }

    /// The person with this id, or a placeholder for a deleted account.
    pub(super) async fn person_or_deleted(&self, id: UserId) -> Result<Arc<Person>, StoreError> {
        Ok(self.person(id).await?.unwrap_or_else(|| Arc::new(Person::deleted(id))))
    }

    /// The desk as customers see it. Its id is pinned the first time that there is an agent.
    pub(super) async fn desk(&self) -> Result<Arc<DeskIdentity>, StoreError> {
        if let Some(known) = self.desk.get(&()).await {
            return Ok(known);
        }
        let desk = Arc::new(self.read_desk().await?);
        self.desk.insert((), desk.clone()).await;
        Ok(desk)
    }

    async fn read_desk(&self) -> Result<DeskIdentity, StoreError> {
        let users = &self.users;
        let ids = match self.desk_ids.get() {
            Some(known) => known.clone(),
            None => users.desk_ids().await?,
        };
        let holder = match ids.first() {
            Some(pinned) => users.user(pinned.user).await?,
            None => None,
        };
        let is_usable = |user: &User| user.role.is_agent() && user.status != AccountStatus::Blocked;
        let stand_in = match holder.filter(is_usable) {
            Some(holder) => Some(holder),
            None => users.first_agent().await?,
        };
        let ids = match &stand_in {
            Some(first) if ids.is_empty() => users.pin_desk(DeskId::from(first)).await?,
            Some(_) | None => ids,
        };
        if !ids.is_empty() {
            self.desk_ids.get_or_init(|| ids.clone());
        }
        Ok(DeskIdentity::new(ids, stand_in.as_ref()))
    }

    /// Forgets a person whose account has changed.
    pub(super) async fn forget(&self, id: UserId) {
        self.people.invalidate(&id).await;
        self.desk.invalidate(&()).await;
    }

    /// The members of the conversation that `me` has, or would have, with a person; `None` if there is no such person, or if
    /// these two may not talk.
    ///
    /// A customer who names an id of the desk means the desk, whatever happened to the account. A customer who has such an id can talk
    /// with the desk only: other customers could not distinguish their messages from the desk's.
    pub(super) async fn members_with(&self, me: &Person, user: UserId) -> Result<Option<Members>, StoreError> {
        let desk = self.desk().await?;
        if !me.role.is_agent() && user != me.id && desk.has_id(user) {
            return Ok(Some(Members::Support { customer: me.id }));
        }
        let Some(other) = self.person(user).await? else { return Ok(None) };
        Ok(if could_pose_as_desk(&desk, me, &other) { None } else { Some(members_between(me, &other)) })
    }

    /// Whether `me` may write in their own conversation.
    pub(super) async fn may_speak(&self, me: &Person, members: Members) -> Result<bool, StoreError> {
        let Members::Direct { first, second } = members else { return Ok(true) };
        let other = self.person_or_deleted(if first == me.id { second } else { first }).await?;
        Ok(!could_pose_as_desk(&*self.desk().await?, me, &other))
    }

    /// The conversation of these members, if it was opened.
    pub(super) async fn find(&self, members: Members) -> Result<Option<Conversation>, StoreError> {
        if let Some(known) = self.by_members.get(&members).await {
            return Ok(Some(known));
        }
        let found = self.conversations.find(members).await?;
        if let Some(conversation) = found {
            self.remember(conversation).await;
        }
        Ok(found)
    }

    /// The conversation of these members, opened if there is none.
    pub(super) async fn open(&self, members: Members, at: Timestamp) -> Result<Conversation, StoreError> {
        if let Some(known) = self.find(members).await? {
            return Ok(known);
        }
        let opened = self.conversations.open(members, at).await?;
        self.remember(opened).await;
        Ok(opened)
    }

    /// The conversation with this id.
    pub(super) async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        if let Some(known) = self.by_id.get(&id).await {
            return Ok(Some(known));
        }
        let found = self.conversations.summary(id).await?.map(|summary| summary.conversation);
        if let Some(conversation) = found {
            self.remember(conversation).await;
        }
        Ok(found)
    }

    async fn remember(&self, conversation: Conversation) {
        self.by_members.insert(conversation.members, conversation).await;
        self.by_id.insert(conversation.id, conversation).await;
    }

    /// Forgets a conversation whose members have changed.
    pub(super) async fn forget_conversation(&self, conversation: Conversation) {
        self.by_members.invalidate(&conversation.members).await;
        self.by_id.invalidate(&conversation.id).await;
    }

    /// Whether a conversation is shown to nobody, because the account of its customer, or of either member of a direct one, was
    /// deleted.
    pub(super) async fn is_of_the_deleted(&self, conversation: Conversation) -> Result<bool, StoreError> {
        let people = match conversation.members {
            Members::Support { customer } => [customer, customer],
            Members::Direct { first, second } => [first, second],
        };
        for id in people {
            if self.person(id).await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The people of a conversation.
    pub(super) async fn parties(&self, conversation: Conversation) -> Result<Parties, StoreError> {
        let (customer, desk) = match conversation.members {
            Members::Support { customer } => {
                let desk = self.desk().await?.towards(customer).clone();
                (self.person_or_deleted(customer).await?, desk)
            }
            Members::Direct { first, second } => {
                (self.person_or_deleted(first).await?, self.person_or_deleted(second).await?)
            }
        };
        Ok(Parties { conversation, customer, desk })
    }
}

/// Whether two customers may not talk because one of them has an id of the desk.
fn could_pose_as_desk(desk: &DeskIdentity, one: &Person, other: &Person) -> bool {
    let are_customers = !one.role.is_agent() && !other.role.is_agent();
    are_customers && one.id != other.id && (desk.has_id(one.id) || desk.has_id(other.id))
}

/// The conversation that two people have, if they may have one: customers talk with the desk as one.
pub(super) fn members_between(one: &Person, other: &Person) -> Members {
    match (one.role.is_agent(), other.role.is_agent()) {
        (true, false) => Members::Support { customer: other.id },
        (false, true) => Members::Support { customer: one.id },
        (true, true) | (false, false) => Members::direct(one.id, other.id),
    }
}

/// Whose conversations a person sees.
pub(super) const fn list_for(viewer: &Person) -> ListFor {
    if viewer.role.is_agent() { ListFor::Agent(viewer.id) } else { ListFor::Customer(viewer.id) }
}

/// The other member; `None` if that is the desk.
pub(super) fn other_than(viewer: UserId, members: Members) -> Option<UserId> {
    match members {
        Members::Support { customer } if customer == viewer => None,
        Members::Support { customer } => Some(customer),
        Members::Direct { first, second } => Some(if first == viewer { second } else { first }),
    }
}
