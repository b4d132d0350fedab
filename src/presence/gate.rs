//! How a connection passes from the log to live events without a gap and without a double.
//!
//! It is subscribed first and reads the log second. What is told meanwhile is held, and passed on after the reading, without
//! what the reading had already. Should too much come for that, the log is read again.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{ConversationId, EntryEvent, Seq};

/// The most entries that are held; beyond that, the log is read again.
const HELD: usize = 1024;

/// Decides which entries a connection may pass on at once.
#[derive(Default)]
pub(super) struct Gate {
    is_catching_up: bool,
    /// The replay sends all of the person's own entries. Otherwise it sends only those that are held here.
    reads_own: bool,
    held: Vec<Held>,
    had_too_much: bool,
    /// How far the log was read, until the first live entry beyond.
    replayed: HashMap<ConversationId, Seq>,
}

struct Held {
    told: Arc<EntryEvent>,
    is_own: bool,
}

/// What is to be done before a connection can go live.
#[derive(Debug)]
pub enum Next {
    /// Nothing: it is live now.
    Live,
    /// To pass these on, in this order, and ask again.
    PassOn(Vec<Arc<EntryEvent>>),
    /// To read the log again, and ask again.
    ReadAgain {
        /// The place of the first entry that was held back, in its conversation.
        first: Seq,
    },
}

impl Gate {
    /// Holds back entries from the start. `reads_own`: the replay sends all of the person's own entries.
    pub(super) fn closed(reads_own: bool) -> Self {
        Self { is_catching_up: true, reads_own, ..Self::default() }
    }

    pub(super) fn is_catching_up(&self) -> bool {
        self.is_catching_up
    }

    /// The log of a conversation has been replayed up to here.
    pub(super) fn replayed(&mut self, conversation: ConversationId, up_to: Seq) {
        let known = self.replayed.entry(conversation).or_insert(up_to);
        *known = up_to.max(*known);
    }

    /// Takes out an own entry when the replay reaches it, so that it is sent in its place. False if it is not held.
    pub(super) fn take_own(&mut self, conversation: ConversationId, seq: Seq) -> bool {
        let is_it =
            |held: &Held| held.is_own && held.told.entry.conversation == conversation && held.told.entry.seq == seq;
        let found = self.held.iter().position(is_it);
        found.map(|index| self.held.remove(index)).is_some()
    }

    /// Goes live, unless something was held back meanwhile.
    pub(super) fn finish(&mut self) -> Next {
        let reads_own = self.reads_own;
        let mut held = std::mem::take(&mut self.held);
        if let Some(first) = held.first().filter(|_| std::mem::take(&mut self.had_too_much)) {
            let first = first.told.entry.seq;
            held.retain(|held| held.is_own && !reads_own);
            self.held = held;
            return Next::ReadAgain { first };
        }
        if held.is_empty() {
            self.is_catching_up = false;
            self.replayed.shrink_to_fit();
            return Next::Live;
        }
        let is_new =
            |told: &EntryEvent| self.replayed.get(&told.entry.conversation).is_none_or(|up_to| told.entry.seq > *up_to);
        let still_to_send = |held: Held| (held.is_own && !reads_own || is_new(&held.told)).then_some(held.told);
        Next::PassOn(held.into_iter().filter_map(still_to_send).collect())
    }

    /// Whether this entry may be passed on now. If not, it has been replayed, or will be. `is_own`: the person is its author.
    pub(super) fn admits(&mut self, told: &Arc<EntryEvent>, is_own: bool) -> bool {
        let is_read = !is_own || self.reads_own;
        if self.is_catching_up {
            let has_room = self.held.len() < HELD;
            if has_room {
                self.held.push(Held { told: told.clone(), is_own });
            } else if is_read {
                self.had_too_much = true;
            }
            // The replay would not send it either.
            return !has_room && !is_read;
        }
        match self.replayed.get(&told.entry.conversation) {
            Some(up_to) if told.entry.seq <= *up_to => !is_read,
            Some(_) => {
                self.replayed.remove(&told.entry.conversation);
                true
            }
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Conversation, Entry, EntryKind, Members, Parties, Person, Side, Status, Timestamp, UserId};

    fn told(seq: u64) -> Arc<EntryEvent> {
        let (id, ann) = (ConversationId::from_bytes([1; 12]), Arc::new(Person::deleted(UserId::from_bytes([2; 12]))));
        let members = Members::Support { customer: ann.id };
        let conversation = Conversation { id, number: 1, uuid: 1, members, created_at: Timestamp::default() };
        let entry = Entry {
            conversation: id,
            seq: Seq::new(seq),
            author: ann.id,
            side: Side::Customer,
            at: Timestamp::default(),
            kind: EntryKind::StatusChanged { status: Status::Active },
        };
        let parties = Parties { conversation, customer: ann.clone(), desk: ann.clone() };
        Arc::new(EntryEvent { parties, entry, author: ann, origin: None, attachment_path: None, about: None })
    }

    fn passed_on(next: Next) -> Vec<u64> {
        match next {
            Next::PassOn(held) => held.iter().map(|told| told.entry.seq.get()).collect(),
            Next::Live | Next::ReadAgain { .. } => panic!("{next:?}"),
        }
    }

    #[test]
    fn what_is_told_while_catching_up_is_passed_on_after_the_reading_and_only_once() {
        let mut gate = Gate::closed(false);
        for seq in [2, 3, 4] {
            assert!(!gate.admits(&told(seq), false));
        }
        gate.replayed(told(3).entry.conversation, Seq::new(3));
        assert_eq!(passed_on(gate.finish()), [4]);
        assert!(!gate.admits(&told(5), false), "not live yet");
        assert_eq!(passed_on(gate.finish()), [5]);
        assert!(matches!(gate.finish(), Next::Live));
        assert!(gate.admits(&told(6), false));
    }

    #[test]
    fn what_is_too_much_to_hold_is_read_from_the_log() {
        let mut gate = Gate::closed(false);
        for seq in 1..=2000 {
            assert!(!gate.admits(&told(seq), false));
        }
        assert!(matches!(gate.finish(), Next::ReadAgain { .. }));
        assert!(matches!(gate.finish(), Next::Live));
    }

    #[test]
    fn a_live_entry_that_was_replayed_already_is_not_passed_on_again() {
        let mut gate = Gate::closed(false);
        gate.replayed(told(3).entry.conversation, Seq::new(3));
        assert!(matches!(gate.finish(), Next::Live));
        assert!(!gate.admits(&told(3), false));
        assert!(gate.admits(&told(4), false));
        assert!(gate.admits(&told(5), false));
    }

    #[test]
    fn an_own_entry_stands_in_its_place_when_the_reading_comes_to_it_and_is_never_left_out() {
        let mut gate = Gate::closed(false);
        let conversation = told(1).entry.conversation;
        assert!(!gate.admits(&told(2), true));
        assert!(gate.take_own(conversation, Seq::new(2)), "it is held, so the reading sends it");
        assert!(!gate.take_own(conversation, Seq::new(2)), "once");
        assert!(!gate.take_own(conversation, Seq::new(3)), "it was not told yet");
        gate.replayed(conversation, Seq::new(4));
        assert!(!gate.admits(&told(3), true));
        assert!(!gate.admits(&told(4), false));
        assert_eq!(passed_on(gate.finish()), [3], "the reading had left it out");
        assert!(matches!(gate.finish(), Next::Live));
        assert!(gate.admits(&told(4), true));
    }

    #[test]
    fn own_entries_are_kept_when_the_log_has_to_be_read_again() {
        let mut gate = Gate::closed(false);
        assert!(!gate.admits(&told(1), true));
        for seq in 2..=2000 {
            assert!(!gate.admits(&told(seq), false));
        }
        assert!(gate.admits(&told(2001), true), "there is no room to hold it");
        assert!(matches!(gate.finish(), Next::ReadAgain { first } if first == Seq::new(1)));
        assert!(gate.take_own(told(1).entry.conversation, Seq::new(1)));
        assert!(matches!(gate.finish(), Next::Live));
    }

    #[test]
    fn what_was_replayed_stays_so_whatever_is_said_of_it_later() {
        let mut gate = Gate::closed(true);
        assert!(!gate.admits(&told(3), true));
        let conversation = told(3).entry.conversation;
        gate.replayed(conversation, Seq::new(3));
        gate.replayed(conversation, Seq::new(2));
        assert_eq!(passed_on(gate.finish()), [0; 0]);
        assert!(matches!(gate.finish(), Next::Live));
        assert!(!gate.admits(&told(3), true));
    }
}
