//! How a connection passes from the log to live events without a gap and without a double.
//!
//! It is subscribed first and reads the log second. What happens meanwhile is not queued: it is noted that something
//! did, and the log is read again, until nothing happened during a whole reading.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{ConversationId, Entry, Seq};

/// Decides which entries a connection may pass on at once.
#[derive(Default)]
pub struct Feed(Mutex<State>);

#[derive(Default)]
struct State {
    is_catching_up: bool,
    something_was_held: bool,
    /// How far the log was read, until the first live entry beyond.
    replayed: HashMap<ConversationId, Seq>,
}

impl Feed {
    /// From now on, entries are held back.
    pub fn begin(&self) {
        *self.state() = State { is_catching_up: true, ..State::default() };
    }

    /// The log of a conversation has been replayed up to here.
    pub fn replayed(&self, conversation: ConversationId, up_to: Seq) {
        self.state().replayed.insert(conversation, up_to);
    }

    /// Goes live. False if something was held back meanwhile: then the log must be read once more.
    pub fn finish(&self) -> bool {
        let mut state = self.state();
        if std::mem::take(&mut state.something_was_held) {
            return false;
        }
        state.is_catching_up = false;
        state.replayed.shrink_to_fit();
        true
    }

    /// Whether this entry may be passed on now. If not, it has been replayed, or will be.
    pub fn admits(&self, entry: &Entry) -> bool {
        let mut state = self.state();
        if state.is_catching_up {
            state.something_was_held = true;
            return false;
        }
        match state.replayed.get(&entry.conversation) {
            Some(up_to) if entry.seq <= *up_to => false,
            Some(_) => {
                state.replayed.remove(&entry.conversation);
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
    use crate::domain::{EntryKind, Side, Status, Timestamp, UserId};

    fn entry(seq: u64) -> Entry {
        Entry {
            conversation: ConversationId::from_bytes([1; 12]),
            seq: Seq::new(seq),
            author: UserId::from_bytes([2; 12]),
            side: Side::Desk,
            at: Timestamp::default(),
            kind: EntryKind::StatusChanged { status: Status::Active },
        }
    }

    #[test]
    fn what_happens_while_catching_up_asks_for_another_reading() {
        let feed = Feed::default();
        feed.begin();
        assert!(!feed.admits(&entry(1)));
        assert!(!feed.finish());
        assert!(feed.finish());
        assert!(feed.admits(&entry(2)));
    }

    #[test]
    fn a_live_entry_that_was_replayed_already_is_not_passed_on_again() {
        let feed = Feed::default();
        feed.begin();
        feed.replayed(entry(3).conversation, Seq::new(3));
        assert!(feed.finish());
        assert!(!feed.admits(&entry(3)));
        assert!(feed.admits(&entry(4)));
        assert!(feed.admits(&entry(5)));
    }
}
