//! Delivered cursors: how far each person's clients have received each conversation.
//!
//! A cursor moves forward only: when a client has confirmed what was sent ([`Presence::take_arrived`]), names it, or fetches it. Moves are
//! collected in memory and persisted together ([`persist`](super::persist)). After a crash, what was in flight and what was confirmed in
//! the last half second is delivered again.
//!
//! [`Presence::take_arrived`]: crate::presence::Presence::take_arrived

use std::collections::{HashMap, HashSet};

use parking_lot::{Mutex, MutexGuard};

use super::Delivery;
use crate::domain::{ConversationId, Seq, UserId};
use crate::store::{DeliveredCursor, StoreError};

/// Cursors held in memory; beyond this many, those that are persisted are dropped.
const REMEMBERED: usize = 200_000;

type Key = (UserId, ConversationId);

#[derive(Default)]
pub(super) struct Cursors {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    up_to: HashMap<Key, Seq>,
    unwritten: HashSet<Key>,
}

impl Cursors {
    /// Everything up to here has arrived.
    pub(super) fn advance(&self, user: UserId, conversation: ConversationId, up_to: Seq) {
        let Known { up_to: all, unwritten } = &mut *self.known();
        let known = all.entry((user, conversation)).or_default();
        if *known < up_to {
            *known = up_to;
            unwritten.insert((user, conversation));
        }
    }

    pub(super) fn get(&self, user: UserId, conversation: ConversationId) -> Option<Seq> {
        self.known().up_to.get(&(user, conversation)).copied()
    }

    pub(super) fn unwritten(&self) -> Vec<DeliveredCursor> {
        let Known { up_to, unwritten } = &*self.known();
        let cursor = |&(user, conversation): &Key| {
            Some(DeliveredCursor { conversation, user, up_to: *up_to.get(&(user, conversation))? })
        };
        unwritten.iter().filter_map(cursor).collect()
    }

    /// These are stored. Those that have moved since still have to be written.
    pub(super) fn written(&self, persisted: &[DeliveredCursor]) {
        let Known { up_to, unwritten } = &mut *self.known();
        for cursor in persisted {
            let key = (cursor.user, cursor.conversation);
            if up_to.get(&key) == Some(&cursor.up_to) {
                unwritten.remove(&key);
            }
        }
        if up_to.len() > REMEMBERED {
            up_to.retain(|key, _| unwritten.contains(key));
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

impl Delivery {
    /// A client of this person has received a conversation up to here, however that became known.
    pub(in crate::desk) fn confirm(&self, user: UserId, conversation: ConversationId, up_to: Seq) {
        self.0.presence.confirm(user, conversation, up_to);
        self.0.cursors.advance(user, conversation, up_to);
    }

    /// This person has fetched the history up to here.
    pub(in crate::desk) fn confirm_fetched(&self, user: UserId, conversation: ConversationId, up_to: Seq) {
        self.0.presence.note_fetched(user, conversation, up_to);
        self.confirm(user, conversation, up_to);
    }

    /// How far this person has been sent a conversation, what is in flight included.
    pub(in crate::desk) async fn sent_up_to(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Option<Seq>, StoreError> {
        match self.0.presence.newest_in_flight(user, conversation) {
            None => self.arrived_up_to(user, conversation).await,
            in_flight => Ok(in_flight.max(self.0.cursors.get(user, conversation))),
        }
    }

    /// Everything up to here was sent on a connection and has arrived.
    pub(in crate::desk) fn advance_cursor(&self, user: UserId, conversation: ConversationId, up_to: Seq) {
        self.0.cursors.advance(user, conversation, up_to);
    }

    /// How far a conversation has arrived at this person.
    pub(super) async fn arrived_up_to(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Option<Seq>, StoreError> {
        match self.0.cursors.get(user, conversation) {
            None => self.0.store.delivered(conversation, user).await,
            known => Ok(known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (UserId::from_bytes([1; 12]), ConversationId::from_bytes([2; 12]));

    #[test]
    fn cursors_move_forward_only_and_are_written_until_that_has_worked() {
        let cursors = Cursors::default();
        let advance = |up_to| cursors.advance(KEY.0, KEY.1, Seq::new(up_to));
        let unwritten = || cursors.unwritten().iter().map(|cursor| cursor.up_to.get()).collect::<Vec<_>>();
        advance(5);
        advance(3);
        let first = cursors.unwritten();
        assert_eq!(unwritten(), [5]);
        advance(9);
        cursors.written(&first);
        assert_eq!(unwritten(), [9], "it has moved on meanwhile");
        cursors.written(&cursors.unwritten());
        advance(9);
        assert_eq!((unwritten(), cursors.get(KEY.0, KEY.1)), (Vec::new(), Some(Seq::new(9))));
    }
}
