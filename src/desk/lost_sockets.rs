//! Sockets for one conversation that were lost without a word: their clients come back by themselves, and fetch nothing.
//!
//! What such a socket may not have delivered is remembered for as long as it takes to notice a dead peer, and is sent to the
//! next socket of the same person in the same conversation, with all that was said meanwhile. A client that fetches the
//! history has it from there, so that nothing is remembered any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Desk;
use super::catch_up::{Held, PAGE, replay_one};
use super::connect::Authenticated;
use crate::domain::{Conversation, ConversationId, Person, Seq, UserId};
use crate::presence::Connection;
use crate::store::{StoreError, is_last_page};

type Key = (UserId, ConversationId);

#[derive(Default)]
pub(super) struct LostSockets(Mutex<HashMap<Key, Lost>>);

struct Lost {
    /// The first entry that may not have arrived.
    first: Seq,
    until: Instant,
}

impl LostSockets {
    fn add(&self, key: Key, first: Seq, within: Duration) {
        let now = Instant::now();
        let mut all = self.all();
        // Whoever never comes back is not remembered for ever.
        if all.len() == all.capacity() {
            all.retain(|_, lost| lost.until > now);
        }
        let lost = all.entry(key).or_insert(Lost { first, until: now });
        lost.first = if lost.until > now { lost.first.min(first) } else { first };
        lost.until = now + within;
    }

    fn take(&self, key: Key) -> Option<Seq> {
        let lost = self.all().remove(&key)?;
        (lost.until > Instant::now()).then_some(lost.first)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Lost>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// A socket for one conversation was lost. `joined_at`: the newest entry when it was opened; `doubtful`: the first one
    /// that was sent on it and may not have arrived. To be called before [`disconnect`](Self::disconnect).
    pub fn socket_lost(
        &self,
        user: UserId,
        conversation: ConversationId,
        joined_at: Seq,
        doubtful: Option<Seq>,
        within: Duration,
    ) {
        let sent = || self.0.deliveries.known(user, conversation).unwrap_or_default().max(joined_at);
        let first = doubtful.unwrap_or_else(|| sent().next());
        self.0.lost_sockets.add((user, conversation), first, within);
    }

    /// A person was given the newest messages of a conversation by request.
    pub(super) fn fetched(&self, user: UserId, conversation: ConversationId, newest: Seq) {
        self.0.deliveries.mark(user, conversation, newest);
        self.0.lost_sockets.take((user, conversation));
    }

    /// Makes a socket for one conversation somebody's: it hears of everything from now on. If an older one was lost, it is
    /// first sent what that one may not have got; if none is known to be, as after a restart, and its client drops what it has, what its
    /// person has not been sent. Older ones that are still open are asked for a sign of life.
    pub async fn connect_to(&self, who: &Authenticated, conversation: Conversation, connection: &Arc<dyn Connection>) {
        let mut lost = self.0.lost_sockets.take((who.person.id, conversation.id));
        if lost.is_none() && connection.drops_what_it_has() {
            lost = self.after_delivered(who.person.id, conversation.id).await;
        }
        if lost.is_some() {
            connection.feed().begin_with_own();
        }
        if !self.connect_owed(who, connection).await {
            return;
        }
        for older in self.0.presence.connections(who.person.id) {
            if older.id() < connection.id() {
                older.ask_for_life(conversation.id);
            }
        }
        if let Some(first) = lost {
            let (desk, person, connection) = (self.clone(), who.person.clone(), connection.clone());
            self.run(async move {
                if let Err(error) = desk.replay_from(&person, &connection, conversation, first).await {
                    tracing::warn!(%error, "A socket could not be caught up");
                    connection.dismiss();
                }
            });
        }
    }

    /// The first entry of a conversation that somebody has not been sent; `None` if they never were sent any.
    async fn after_delivered(&self, user: UserId, conversation: ConversationId) -> Option<Seq> {
        match self.delivered(user, conversation).await {
            Ok(delivered) => delivered.map(Seq::next),
            Err(error) => {
                tracing::warn!(%error, "What somebody has been sent could not be looked up");
                None
            }
        }
    }

    /// Replays a conversation from this entry on, the person's own entries included, then lets live entries through.
    async fn replay_from(
        &self,
        person: &Arc<Person>,
        connection: &Arc<dyn Connection>,
        conversation: Conversation,
        first: Seq,
    ) -> Result<(), StoreError> {
        let mut after = first.previous();
        loop {
            let page = self.0.stores.conversations.entries_after(conversation.id, after, PAGE).await?;
            let is_last = is_last_page(&page, PAGE);
            for told in self.show(conversation, page).await? {
                let told = Arc::new(told);
                after = told.entry.seq;
                // A message that was deleted since is not shown to anybody.
                let is_shown = told.entry.message().is_none() || told.is_message();
                if is_shown && !replay_one(person, connection, told.clone()).await {
                    return Ok(());
                }
                connection.feed().replayed(conversation.id, after);
                if told.is_message() {
                    self.note_replayed(person, &told, after.previous());
                }
                if !self.note_delivery(person.id, conversation.id, after) {
                    return Ok(());
                }
            }
            if is_last && matches!(self.pass_on_held(person, connection, &mut 0).await, Held::PassedOn(_)) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (UserId::from_bytes([1; 12]), ConversationId::from_bytes([2; 12]));
    const WITHIN: Duration = Duration::from_secs(45);

    #[tokio::test(start_paused = true)]
    async fn what_was_lost_first_is_remembered_once_and_for_a_while() {
        let lost = LostSockets::default();
        assert_eq!(lost.take(KEY), None);
        lost.add(KEY, Seq::new(7), WITHIN);
        lost.add(KEY, Seq::new(9), WITHIN);
        assert_eq!((lost.take(KEY), lost.take(KEY)), (Some(Seq::new(7)), None));
        lost.add(KEY, Seq::new(7), WITHIN);
        tokio::time::advance(WITHIN * 2).await;
        assert_eq!(lost.take(KEY), None);
        lost.add(KEY, Seq::new(3), WITHIN);
        tokio::time::advance(WITHIN * 2).await;
        lost.add(KEY, Seq::new(9), WITHIN);
        assert_eq!(lost.take(KEY), Some(Seq::new(9)), "what is too old is not owed again");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_never_come_back_do_not_add_up() {
        let lost = LostSockets::default();
        for number in 0..1000_u32 {
            let mut id = [0; 12];
            id[..4].copy_from_slice(&number.to_be_bytes());
            lost.add((UserId::from_bytes(id), KEY.1), Seq::new(1), WITHIN);
            tokio::time::advance(WITHIN).await;
        }
        assert!(lost.all().len() < 10, "{}", lost.all().len());
    }
}
