//! Delivered cursors: how far each person's clients have received each conversation.
//!
//! A cursor moves forward only: when a client has confirmed what was sent ([`Presence::take_arrived`]), names it, or fetches it.
//! Moves are collected in memory and persisted together. After a crash, what was in flight and what was confirmed in the last half
//! second is delivered again.
//!
//! [`Presence::take_arrived`]: crate::presence::Presence::take_arrived

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::Delivery;
use crate::desk::failure_log::FailureLog;
use crate::domain::{ConversationId, Seq, UserId};
use crate::store::{Delivered, StoreError};

/// How often arrivals are collected and persisted.
const PERIOD: Duration = Duration::from_millis(500);

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Cursors held in memory; beyond this many, those that are persisted are dropped.
const REMEMBERED: usize = 200_000;

type Key = (UserId, ConversationId);

pub(super) struct Cursors {
    known: Mutex<Known>,
    failures: FailureLog,
}

impl Default for Cursors {
    fn default() -> Self {
        Self { known: Mutex::default(), failures: FailureLog::new("persist delivery cursors") }
    }
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

    fn unwritten(&self) -> Vec<Delivered> {
        let Known { up_to, unwritten } = &*self.known();
        let mark = |&(user, conversation): &Key| {
            Some(Delivered { conversation, user, up_to: *up_to.get(&(user, conversation))? })
        };
        unwritten.iter().filter_map(mark).collect()
    }

    /// These are in the store. Those that have moved since still have to be written.
    fn written(&self, marks: &[Delivered]) {
        let Known { up_to, unwritten } = &mut *self.known();
        for mark in marks {
            let key = (mark.user, mark.conversation);
            if up_to.get(&key) == Some(&mark.up_to) {
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
    /// A client of this person has everything up to here, however it came.
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

    /// Moves the cursors by what has arrived, and persists them. False if the store failed; they are persisted the next time.
    pub(super) async fn persist_cursors(&self) -> bool {
        for (user, conversation, up_to) in self.0.presence.take_arrived() {
            self.0.cursors.advance(user, conversation, up_to);
        }
        let marks = self.0.cursors.unwritten();
        if marks.is_empty() {
            return true;
        }
        let written = self.0.store.advance_delivered(marks.clone()).await;
        let is_written = self.0.cursors.failures.note(&written);
        if is_written {
            self.0.cursors.written(&marks);
        }
        is_written
    }

    pub(super) async fn keep_cursors(self) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            tick.tick().await;
            if !self.persist_cursors().await {
                tokio::time::sleep(RETRY).await;
            }
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
        let unwritten = || cursors.unwritten().iter().map(|mark| mark.up_to.get()).collect::<Vec<_>>();
        advance(5);
        advance(3);
        let marks = cursors.unwritten();
        assert_eq!(unwritten(), [5]);
        advance(9);
        cursors.written(&marks);
        assert_eq!(unwritten(), [9], "it has moved on meanwhile");
        cursors.written(&cursors.unwritten());
        advance(9);
        assert_eq!((unwritten(), cursors.get(KEY.0, KEY.1)), (Vec::new(), Some(Seq::new(9))));
    }
}
