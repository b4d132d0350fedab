//! How a connection passes from the log to live events without a gap and without a double.
//!
//! It is subscribed first and reads the log second. What is told meanwhile is held, and passed on after the reading, without
//! what the reading had already. Should too much come for that, the log is read again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{ConversationId, EntryTold, Seq};

/// The most entries that are held; beyond that, the log is read again.
const HELD: usize = 1024;

/// Decides which entries a connection may pass on at once.
#[derive(Default)]
pub struct Feed(Mutex<State>);

#[derive(Default)]
struct State {
    is_catching_up: bool,
    /// The log is read with the person's own entries, so these are held back, too.
    holds_own: bool,
    held: Vec<Arc<EntryTold>>,
    had_too_much: bool,
    /// How far the log was read, until the first live entry beyond.
    replayed: HashMap<ConversationId, Seq>,
}

/// What is to be done before a connection can go live.
#[derive(Debug)]
pub enum Next {
    /// Nothing: it is live now.
    Live,
    /// To pass these on, in this order, and ask again.
    PassOn(Vec<Arc<EntryTold>>),
    /// To read the log again, and ask again.
    ReadAgain,
}

impl Feed {
    /// From now on, entries are held back.
    pub fn begin(&self) {
        *self.state() = State { is_catching_up: true, ..State::default() };
    }

    /// The same, for a connection to which the person's own entries are replayed, too.
    pub fn begin_with_own(&self) {
        *self.state() = State { is_catching_up: true, holds_own: true, ..State::default() };
    }

    /// The log of a conversation has been replayed up to here.
    pub fn replayed(&self, conversation: ConversationId, up_to: Seq) {
        self.state().replayed.insert(conversation, up_to);
    }

    /// Goes live, unless something was held back meanwhile.
    pub fn finish(&self) -> Next {
        let State { is_catching_up, held, had_too_much, replayed, .. } = &mut *self.state();
        let mut held = std::mem::take(held);
        if std::mem::take(had_too_much) {
            return Next::ReadAgain;
        }
        if held.is_empty() {
            *is_catching_up = false;
            replayed.shrink_to_fit();
            return Next::Live;
        }
        held.retain(|told| replayed.get(&told.entry.conversation).is_none_or(|up_to| told.entry.seq > *up_to));
        Next::PassOn(held)
    }

    /// Whether this entry may be passed on now. If not, it has been replayed, or will be. `is_own`: the person is its author.
    pub fn admits(&self, told: &Arc<EntryTold>, is_own: bool) -> bool {
        let mut state = self.state();
        if is_own && !state.holds_own {
            return true;
        }
        if state.is_catching_up {
            if state.held.len() < HELD {
                state.held.push(told.clone());
            } else {
                state.had_too_much = true;
            }
            return false;
        }
        match state.replayed.get(&told.entry.conversation) {
            Some(up_to) if told.entry.seq <= *up_to => false,
            Some(_) => {
                state.replayed.remove(&told.entry.conversation);
                true
            }
            None => true,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Conversation, Entry, EntryKind, Members, MessageExtras, Parties, Person, Side, Status, Timestamp, UserId,
    };

    fn told(seq: u64) -> Arc<EntryTold> {
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
        let extras = MessageExtras::default();
        Arc::new(EntryTold { parties, entry, author: ann, origin: None, extras, attachment_path: None, about: None })
    }

    fn passed_on(next: Next) -> Vec<u64> {
        match next {
            Next::PassOn(held) => held.iter().map(|told| told.entry.seq.get()).collect(),
            Next::Live | Next::ReadAgain => panic!("{next:?}"),
        }
    }

    #[test]
    fn what_is_told_while_catching_up_is_passed_on_after_the_reading_and_only_once() {
        let feed = Feed::default();
        feed.begin();
        for seq in [2, 3, 4] {
            assert!(!feed.admits(&told(seq), false));
        }
        feed.replayed(told(3).entry.conversation, Seq::new(3));
        assert_eq!(passed_on(feed.finish()), [4]);
        assert!(!feed.admits(&told(5), false), "not live yet");
        assert_eq!(passed_on(feed.finish()), [5]);
        assert!(matches!(feed.finish(), Next::Live));
        assert!(feed.admits(&told(6), false));
    }

    #[test]
    fn what_is_too_much_to_hold_is_read_from_the_log() {
        let feed = Feed::default();
        feed.begin();
        for seq in 1..=2000 {
            assert!(!feed.admits(&told(seq), false));
        }
        assert!(matches!(feed.finish(), Next::ReadAgain));
        assert!(matches!(feed.finish(), Next::Live));
    }

    #[test]
    fn a_live_entry_that_was_replayed_already_is_not_passed_on_again() {
        let feed = Feed::default();
        feed.begin();
        feed.replayed(told(3).entry.conversation, Seq::new(3));
        assert!(matches!(feed.finish(), Next::Live));
        assert!(!feed.admits(&told(3), false));
        assert!(feed.admits(&told(4), false));
        assert!(feed.admits(&told(5), false));
    }
}
