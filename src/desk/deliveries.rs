//! How far everybody has been delivered to: noted in memory at once, written down a moment later.
//!
//! A process that dies in that moment delivers once more what it delivered last, to clients that cannot say what they
//! have: better twice than never.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Desk;
use crate::domain::{ConversationId, Seq, UserId};
use crate::store::{Delivered, StoreError};

/// How often notes are written down.
const PERIOD: Duration = Duration::from_millis(100);

/// Notes kept in memory; beyond this many, those already written down are dropped.
const NOTES: usize = 200_000;

#[derive(Default)]
pub(super) struct Deliveries {
    notes: Mutex<Notes>,
    /// Held while notes are being written, so that a reader of the store does not come in between.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Notes {
    up_to: HashMap<Key, Seq>,
    unwritten: HashSet<Key>,
    /// On their way into the store, which may not show them yet.
    under_way: HashSet<Key>,
}

type Key = (UserId, ConversationId);

impl Deliveries {
    /// Everything up to `up_to` has been delivered. Gives what was known before.
    pub(super) fn mark(&self, user: UserId, conversation: ConversationId, up_to: Seq) -> Seq {
        let mut notes = self.notes();
        let known = notes.up_to.entry((user, conversation)).or_insert(up_to.previous());
        let before = *known;
        if before < up_to {
            *known = up_to;
            notes.unwritten.insert((user, conversation));
        }
        before
    }

    /// What was marked beyond `up_to` did not arrive after all.
    pub(super) fn take_back(&self, user: UserId, conversation: ConversationId, up_to: Seq) {
        let mut notes = self.notes();
        if let Some(known) = notes.up_to.get_mut(&(user, conversation))
            && *known > up_to
        {
            *known = up_to;
            notes.unwritten.insert((user, conversation));
        }
    }

    pub(super) fn known(&self, user: UserId, conversation: ConversationId) -> Option<Seq> {
        self.notes().up_to.get(&(user, conversation)).copied()
    }

    /// What is noted of this person and the store may not show yet.
    pub(super) fn unsettled(&self, user: UserId) -> Vec<(ConversationId, Seq)> {
        let notes = self.notes();
        let of_user = notes.unwritten.union(&notes.under_way).filter(|(whose, _)| *whose == user);
        of_user.filter_map(|key| Some((key.1, *notes.up_to.get(key)?))).collect()
    }

    fn take_unwritten(&self) -> Vec<Delivered> {
        let Notes { up_to, unwritten, under_way } = &mut *self.notes();
        under_way.extend(unwritten.drain());
        let marks = under_way.iter().filter_map(|key| {
            let (user, conversation) = *key;
            up_to.get(key).map(|up_to| Delivered { conversation, user, up_to: *up_to })
        });
        marks.collect()
    }

    fn written(&self) {
        let Notes { up_to, unwritten, under_way } = &mut *self.notes();
        under_way.clear();
        if up_to.len() > NOTES {
            up_to.retain(|key, _| unwritten.contains(key));
        }
    }

    fn put_back(&self, marks: &[Delivered]) {
        let mut notes = self.notes();
        notes.under_way.clear();
        for mark in marks {
            let key = (mark.user, mark.conversation);
            notes.up_to.entry(key).or_insert(mark.up_to);
            notes.unwritten.insert(key);
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Notes that an entry is on its way on a live connection. False if that was the person's last one and has ended
    /// meanwhile: then the entry is as doubtful as all that was left unconfirmed on it.
    pub(super) fn note_delivery(&self, user: UserId, conversation: ConversationId, seq: Seq) -> bool {
        let before = self.0.deliveries.mark(user, conversation, seq);
        let is_there = self.0.presence.is_connected(user);
        if !is_there {
            self.0.deliveries.take_back(user, conversation, before);
        }
        is_there
    }

    /// How far this person has been delivered to in a conversation.
    pub(super) async fn delivered(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Option<Seq>, StoreError> {
        match self.0.deliveries.known(user, conversation) {
            Some(known) => Ok(Some(known)),
            None => self.0.stores.conversations.delivered(conversation, user).await,
        }
    }

    /// Writes down at once what is noted. A failure is told to nobody: the notes stay, and the next time may succeed.
    pub async fn write_deliveries(&self) {
        let _writing = self.0.deliveries.writing.lock().await;
        let marks = self.0.deliveries.take_unwritten();
        if marks.is_empty() {
            return;
        }
        match self.0.stores.conversations.set_delivered(marks.clone()).await {
            Ok(()) => self.0.deliveries.written(),
            Err(error) => {
                tracing::warn!(%error, "Could not write down what was delivered");
                self.0.deliveries.put_back(&marks);
            }
        }
    }

    pub(super) async fn keep_deliveries(&self) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            tick.tick().await;
            self.write_deliveries().await;
        }
    }
}
