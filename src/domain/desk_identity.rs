//! The support identity: customers see one name and one id, whichever agent answers.

use std::sync::Arc;

use super::{Person, Role, User, UserId};

/// An id by which customers know the desk, with its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DeskId {
    /// The id of an account. It keeps meaning the desk when that account is demoted, blocked or deleted.
    pub user: UserId,
    /// The number of that account.
    pub number: u64,
}

impl DeskId {
    /// An id that no account has. It is used on a server that has never had an agent, and towards a customer whose own id is the one
    /// that everybody else knows the desk by.
    pub const RESERVED: Self = Self { user: UserId::from_bytes([0; 12]), number: 0 };
}

impl From<&User> for DeskId {
    fn from(user: &User) -> Self {
        Self { user: user.id, number: user.number }
    }
}

/// The desk as customers see it (the *support identity*).
///
/// Customers' clients remember its id, so the id is pinned and never changes. The name and the address are those of the account
/// that it belongs to, or of the agent that replaces it.
#[derive(Clone, Debug)]
pub struct DeskIdentity {
    ids: Vec<DeskId>,
    shown: Arc<Person>,
    /// The same under the reserved id.
    reserved: Arc<Person>,
}

impl DeskIdentity {
    /// The desk with the first of `ids`, and with the name and the address of `stand_in`; `None` if there is no agent.
    #[must_use]
    pub fn new(ids: Vec<DeskId>, stand_in: Option<&User>) -> Self {
        let id = ids.first().copied().unwrap_or(DeskId::RESERVED);
        let under = |DeskId { user, number }| match stand_in {
            Some(agent) => Person { id: user, number, ..Person::from(agent) },
            None => Person { id: user, number, name: "Support".into(), email: String::new(), role: Role::Agent },
        };
        Self { ids, shown: Arc::new(under(id)), reserved: Arc::new(under(DeskId::RESERVED)) }
    }

    /// Whether no id is pinned, because there has never been an agent.
    #[must_use]
    pub const fn is_unpinned(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether this id means the desk when a customer names it.
    #[must_use]
    pub fn has_id(&self, id: UserId) -> bool {
        id == DeskId::RESERVED.user || self.ids.iter().any(|desk| desk.user == id)
    }

    /// The desk as this customer sees it. Clients cannot distinguish two people with the same id, so a customer who has the desk's id
    /// sees the desk under the reserved one.
    #[must_use]
    pub fn towards(&self, customer: UserId) -> &Arc<Person> {
        if customer == self.shown.id { &self.reserved } else { &self.shown }
    }

    /// The desk as this person sees it when they ask for their contacts. An agent who has the desk's id is the desk.
    #[must_use]
    pub fn seen_by(&self, viewer: &Person) -> &Arc<Person> {
        if viewer.role.is_agent() { &self.shown } else { self.towards(viewer.id) }
    }
}
