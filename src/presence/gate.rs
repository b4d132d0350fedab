//! Switches a connection from the log to live events without gaps or duplicates.
//!
//! The connection is subscribed first and reads the log second. Entries that are published meanwhile are held back and sent after the
//! replay, except those that the replay has sent already. If there are too many to hold, the log is read again.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{ConversationId, EntryEvent, Seq};

/// The most entries that are held; beyond that, the log is read again.
const HELD: usize = 1024;

/// Decides which entries a connection may send at once.
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
    event: Arc<EntryEvent>,
    is_own: bool,
}

/// The next step of a connection on its way to going live.
#[derive(Debug)]
pub enum Next {
    /// None: it is live now.
    Live,
    /// Send these, in this order, then call `finish` again.
    PassOn(Vec<Arc<EntryEvent>>),
    /// Read the log again, then call `finish` again.
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
            |held: &Held| held.is_own && held.event.entry.conversation == conversation && held.event.entry.seq == seq;
        let found = self.held.iter().position(is_it);
        found.map(|index| self.held.remove(index)).is_some()
    }

    /// Goes live, unless something was held back meanwhile.
    pub(super) fn finish(&mut self) -> Next {
        let reads_own = self.reads_own;
        let mut held = std::mem::take(&mut self.held);
        if let Some(first) = held.first().filter(|_| std::mem::take(&mut self.had_too_much)) {
            let first = first.event.entry.seq;
            held.retain(|held| held.is_own && !reads_own);
            self.held = held;
            return Next::ReadAgain { first };
        }
        if held.is_empty() {
            self.is_catching_up = false;
            self.replayed.shrink_to_fit();
            return Next::Live;
        }
        let is_new = |event: &EntryEvent| {
            self.replayed.get(&event.entry.conversation).is_none_or(|up_to| event.entry.seq > *up_to)
        };
        let still_to_send = |held: Held| (held.is_own && !reads_own || is_new(&held.event)).then_some(held.event);
        Next::PassOn(held.into_iter().filter_map(still_to_send).collect())
    }

    /// Whether this entry may be sent now. If not, it has been replayed, or will be. `is_own`: the person is its author.
    pub(super) fn admits(&mut self, event: &Arc<EntryEvent>, is_own: bool) -> bool {
        let is_read = !is_own || self.reads_own;
        if self.is_catching_up {
            let has_room = self.held.len() < HELD;
            if has_room {
                self.held.push(Held { event: event.clone(), is_own });
            } else if is_read {
                self.had_too_much = true;
            }
            // The replay would not send it either.
            return !has_room && !is_read;
        }
        match self.replayed.get(&event.entry.conversation) {
            Some(up_to) if event.entry.seq <= *up_to => !is_read,
            Some(_) => {
                self.replayed.remove(&event.entry.conversation);
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

    fn event(seq: u64) -> Arc<EntryEvent> {
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
            Next::PassOn(held) => held.iter().map(|event| event.entry.seq.get()).collect(),
            Next::Live | Next::ReadAgain { .. } => panic!("{next:?}"),
        }
    }

    #[test]
    fn what_is_published_while_catching_up_is_sent_once_after_the_replay() {
        let mut gate = Gate::closed(false);
        for seq in [2, 3, 4] {
            assert!(!gate.admits(&event(seq), false));
        }
        gate.replayed(event(3).entry.conversation, Seq::new(3));
        assert_eq!(passed_on(gate.finish()), [4]);
        assert!(!gate.admits(&event(5), false), "not live yet");
        assert_eq!(passed_on(gate.finish()), [5]);
        assert!(matches!(gate.finish(), Next::Live));
        assert!(gate.admits(&event(6), false));
    }

    #[test]
    fn what_is_too_much_to_hold_is_read_from_the_log() {
        let mut gate = Gate::closed(false);
        for seq in 1..=2000 {
            assert!(!gate.admits(&event(seq), false));
        }
        assert!(matches!(gate.finish(), Next::ReadAgain { .. }));
        assert!(matches!(gate.finish(), Next::Live));
    }

    #[test]
    fn a_live_entry_that_was_replayed_already_is_not_passed_on_again() {
        let mut gate = Gate::closed(false);
        gate.replayed(event(3).entry.conversation, Seq::new(3));
        assert!(matches!(gate.finish(), Next::Live));
        assert!(!gate.admits(&event(3), false));
        assert!(gate.admits(&event(4), false));
        assert!(gate.admits(&event(5), false));
    }

    #[test]
    fn an_own_entry_is_sent_in_its_place_when_the_replay_reaches_it_and_is_never_left_out() {
        let mut gate = Gate::closed(false);
        let conversation = event(1).entry.conversation;
        assert!(!gate.admits(&event(2), true));
        assert!(gate.take_own(conversation, Seq::new(2)), "it is held, so the replay sends it");
        assert!(!gate.take_own(conversation, Seq::new(2)), "once");
        assert!(!gate.take_own(conversation, Seq::new(3)), "it was not published yet");
        gate.replayed(conversation, Seq::new(4));
        assert!(!gate.admits(&event(3), true));
        assert!(!gate.admits(&event(4), false));
        assert_eq!(passed_on(gate.finish()), [3], "the replay had left it out");
        assert!(matches!(gate.finish(), Next::Live));
        assert!(gate.admits(&event(4), true));
    }

    #[test]
    fn own_entries_are_still_held_when_the_log_has_to_be_read_again() {
        let mut gate = Gate::closed(false);
        assert!(!gate.admits(&event(1), true));
        for seq in 2..=2000 {
            assert!(!gate.admits(&event(seq), false));
        }
        assert!(gate.admits(&event(2001), true), "there is no room to hold it");
        assert!(matches!(gate.finish(), Next::ReadAgain { first } if first == Seq::new(1)));
        assert!(gate.take_own(event(1).entry.conversation, Seq::new(1)));
        assert!(matches!(gate.finish(), Next::Live));
    }

    #[test]
    fn a_replayed_place_never_moves_back() {
        let mut gate = Gate::closed(true);
        assert!(!gate.admits(&event(3), true));
        let conversation = event(3).entry.conversation;
        gate.replayed(conversation, Seq::new(3));
        gate.replayed(conversation, Seq::new(2));
        assert_eq!(passed_on(gate.finish()), [0; 0]);
        assert!(matches!(gate.finish(), Next::Live));
        assert!(!gate.admits(&event(3), true));
    }
}
