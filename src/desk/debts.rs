//! What a person's newer connections are owed, should an older one turn out to have been dead.
//!
//! A client that lost its network comes back before the server knows that its old socket is dead. What went into the old
//! one meanwhile counts as delivered, so catching up does not bring it; but if the old one is never heard of again, the
//! newer one gets it then. Most often the old one is another tab and alive, and nobody gets anything twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Desk;
use super::catch_up::{PAGE, replay_one};
use crate::domain::{ConnectionId, ConversationId, Person, Seq};
use crate::presence::{Connection, Unconfirmed};
use crate::store::StoreError;

/// The most newer connections that one older one is remembered to owe.
const CREDITORS: usize = 4;

/// By the connection that may be dead.
#[derive(Default)]
pub(super) struct Debts(Mutex<ByDebtor>);

pub(super) struct Debt {
    to: Weak<dyn Connection>,
    /// The last entry of each conversation that the older one was sent before the newer one came.
    up_to: HashMap<ConversationId, Seq>,
}

type ByDebtor = HashMap<ConnectionId, Vec<Debt>>;

impl Debts {
    /// To be held while somebody comes or goes, so that whoever goes has either left a debt or gone before.
    pub(super) fn lock(&self) -> MutexGuard<'_, ByDebtor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// To be called when a connection has come: notes what its person's other connections were sent and have not confirmed.
    pub(super) fn note_debts(&self, all: &mut ByDebtor, person: &Person, connection: &Arc<dyn Connection>) {
        for older in self.0.presence.connections(person.id) {
            if older.id() == connection.id() {
                continue;
            }
            let unconfirmed = older.unconfirmed().into_iter();
            let sent = unconfirmed.filter_map(|(conversation, _)| {
                Some((conversation, self.0.deliveries.known(person.id, conversation)?))
            });
            let up_to: HashMap<ConversationId, Seq> = sent.collect();
            if up_to.is_empty() {
                continue;
            }
            let debts = all.entry(older.id()).or_default();
            debts.retain(|debt| debt.to.strong_count() > 0);
            if debts.len() < CREDITORS {
                debts.push(Debt { to: Arc::downgrade(connection), up_to });
            }
        }
    }

    /// To be called when a connection has gone: the newer ones get what was lost with it.
    pub(super) fn settle_debts(&self, person: &Arc<Person>, debts: Vec<Debt>, lost: &[Unconfirmed]) {
        for debt in debts {
            let Some(to) = debt.to.upgrade() else { continue };
            for &(conversation, first) in lost {
                let Some(up_to) = debt.up_to.get(&conversation).copied().filter(|up_to| first <= *up_to) else {
                    continue;
                };
                let (desk, person, to) = (self.clone(), person.clone(), to.clone());
                self.run(async move { desk.pay(&person, &to, conversation, (first, up_to)).await });
            }
        }
    }

    /// Replays this to the connection that it is owed to; should that one be gone meanwhile, to those that have come since, and
    /// to whoever comes next.
    async fn pay(
        &self,
        person: &Arc<Person>,
        to: &Arc<dyn Connection>,
        conversation: ConversationId,
        span: (Seq, Seq),
    ) {
        if self.replay_span(person, to, conversation, span).await {
            return;
        }
        self.0.deliveries.take_back(person.id, conversation, span.0.previous());
        for newer in self.0.presence.connections(person.id).iter().filter(|newer| newer.id() > to.id()) {
            self.replay_span(person, newer, conversation, span).await;
        }
    }

    /// Tells whether all of it is on its way.
    async fn replay_span(
        &self,
        person: &Arc<Person>,
        to: &Arc<dyn Connection>,
        conversation: ConversationId,
        span: (Seq, Seq),
    ) -> bool {
        self.try_replay_span(person, to, conversation, span).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "What was lost with a dead connection could not be replayed");
            false
        })
    }

    async fn try_replay_span(
        &self,
        person: &Arc<Person>,
        to: &Arc<dyn Connection>,
        conversation: ConversationId,
        (first, up_to): (Seq, Seq),
    ) -> Result<bool, StoreError> {
        let Some(found) = self.0.directory.conversation(conversation).await? else { return Ok(true) };
        let mut after = first.previous();
        while after < up_to {
            let mut page = self.0.stores.conversations.entries_after(conversation, after, PAGE).await?;
            page.retain(|entry| entry.seq <= up_to);
            let Some(last) = page.last().map(|entry| entry.seq) else { break };
            for told in self.show(found, page).await? {
                let concerns = told.is_message() && told.author.id != person.id;
                if concerns && (!to.is_of(person.id) || !replay_one(person, to, Arc::new(told)).await) {
                    return Ok(false);
                }
            }
            after = last;
        }
        Ok(true)
    }
}
