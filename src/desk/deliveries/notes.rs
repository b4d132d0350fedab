//! What is noted of deliveries, and when it may be written down.
//!
//! An entry that was put on a connection has not left the process yet. Should the process die now, and the note be in the
//! store already, nobody would ever send it again. So a note becomes due only after a while: in the meantime it is fresh,
//! then it ages with the value it had, then it is due. What did not arrive after all is due at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::{ConversationId, Seq, UserId};
use crate::store::Delivered;

/// Notes kept in memory; beyond this many, those already written down are dropped.
const NOTES: usize = 200_000;

type Key = (UserId, ConversationId);

#[derive(Default)]
pub(super) struct Notes {
    up_to: HashMap<Key, Seq>,
    fresh: BTreeSet<Key>,
    aging: BTreeMap<Key, Seq>,
    due: BTreeMap<Key, Seq>,
    /// On their way into the store, which may not show them yet.
    under_way: BTreeMap<Key, Seq>,
}

impl Notes {
    /// Everything up to `up_to` has been delivered. Gives what was known before.
    pub(super) fn mark(&mut self, key: Key, up_to: Seq) -> Seq {
        let known = self.up_to.entry(key).or_insert(up_to.previous());
        let before = *known;
        if before < up_to {
            *known = up_to;
            self.fresh.insert(key);
        }
        before
    }

    /// What was marked beyond `up_to` did not arrive after all.
    pub(super) fn take_back(&mut self, key: Key, up_to: Seq) {
        if let Some(known) = self.up_to.get_mut(&key)
            && *known > up_to
        {
            *known = up_to;
            self.fresh.remove(&key);
            self.aging.remove(&key);
            self.due.insert(key, up_to);
        }
    }

    pub(super) fn known(&self, key: Key) -> Option<Seq> {
        self.up_to.get(&key).copied()
    }

    /// What is noted of this person and the store may not show yet.
    pub(super) fn unsettled(&self, user: UserId) -> Vec<(ConversationId, Seq)> {
        let first = (user, ConversationId::from_bytes([0; 12]));
        let last = (user, ConversationId::from_bytes([0xff; 12]));
        let mut keys: BTreeSet<Key> = self.fresh.range(first..=last).copied().collect();
        for stage in [&self.aging, &self.due, &self.under_way] {
            keys.extend(stage.range(first..=last).map(|(key, _)| *key));
        }
        keys.into_iter().filter_map(|key| Some((key.1, *self.up_to.get(&key)?))).collect()
    }

    /// Some time has passed: what was fresh ages, what has aged is due.
    pub(super) fn age(&mut self) {
        self.due.append(&mut self.aging);
        let fresh = std::mem::take(&mut self.fresh);
        self.aging = fresh.into_iter().filter_map(|key| Some((key, *self.up_to.get(&key)?))).collect();
    }

    /// What is to be written down now. Until [`written`](Self::written) or [`put_back`](Self::put_back), it is under way.
    pub(super) fn take_due(&mut self) -> Vec<Delivered> {
        self.under_way.append(&mut self.due);
        let marks = self.under_way.iter();
        marks.map(|(&(user, conversation), &up_to)| Delivered { conversation, user, up_to }).collect()
    }

    /// What was under way is in the store.
    pub(super) fn written(&mut self) {
        self.under_way.clear();
        if self.up_to.len() > NOTES {
            let Self { up_to, fresh, aging, due, .. } = self;
            up_to.retain(|key, _| fresh.contains(key) || aging.contains_key(key) || due.contains_key(key));
        }
    }

    /// What was under way is not in the store, and is due again.
    pub(super) fn put_back(&mut self) {
        for (key, up_to) in std::mem::take(&mut self.under_way) {
            // What became due meanwhile is newer.
            self.due.entry(key).or_insert(up_to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (UserId::from_bytes([1; 12]), ConversationId::from_bytes([2; 12]));

    fn due(notes: &mut Notes) -> Vec<u64> {
        notes.take_due().iter().map(|mark| mark.up_to.get()).collect()
    }

    #[test]
    fn a_note_is_written_down_with_the_value_that_it_had_long_enough() {
        let mut notes = Notes::default();
        notes.mark(KEY, Seq::new(5));
        notes.age();
        notes.mark(KEY, Seq::new(9));
        assert_eq!(due(&mut notes), [0; 0], "it may not have left the process");
        notes.age();
        assert_eq!(due(&mut notes), [5]);
        assert_eq!(notes.unsettled(KEY.0), [(KEY.1, Seq::new(9))]);
        notes.written();
        notes.age();
        assert_eq!(due(&mut notes), [9]);
        notes.written();
        assert_eq!((notes.unsettled(KEY.0), notes.known(KEY)), (Vec::new(), Some(Seq::new(9))));
    }

    #[test]
    fn what_did_not_arrive_is_due_at_once_and_stays_so_until_it_is_written() {
        let mut notes = Notes::default();
        notes.mark(KEY, Seq::new(5));
        notes.age();
        notes.take_back(KEY, Seq::new(3));
        assert_eq!(due(&mut notes), [3]);
        notes.take_back(KEY, Seq::new(1));
        notes.put_back();
        assert_eq!(due(&mut notes), [1]);
    }
}
