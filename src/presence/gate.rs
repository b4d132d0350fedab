//! Switches a connection from the log to live events without gaps or duplicates.
//!
//! The connection is subscribed first and reads the log second. Entries that are published meanwhile are held back and sent after the
//! replay, except those that the replay has sent already. If there are too many to hold, the log is read again.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{ConversationId, EntryEvent, Seq};

/// The most entries that are held; beyond that, the log is read again.
const HELD: usize = 1024;

/// Decides which entries a connection may send at once. Small once it is live, because most connections are idle.
#[derive(Default)]
pub(super) struct Gate {
    /// The replay sends all of the person's own entries. Otherwise it sends only those that are held here.
    reads_own: bool,
    /// `None` once it is live.
    catching_up: Option<Box<CatchingUp>>,
    /// How far the log was read, until the first live entry beyond. `None` if nothing was, or that is over.
    #[expect(clippy::box_collection, reason = "a map takes 48 bytes, and most connections have none")]
    replayed: Option<Box<HashMap<ConversationId, Seq>>>,
}

/// What is known of a connection until it is live.
#[derive(Default)]
pub(super) struct CatchingUp {
    held: Vec<Held>,
    had_too_much: bool,
    /// The first entry of each conversation that its client missed on lost connections.
    pub(super) lost: Vec<(ConversationId, Seq)>,
    /// How far the history was fetched meanwhile, if its page has just been opened.
    pub(super) fetched: Vec<(ConversationId, Seq)>,
    /// The highest number of a message that was sent on it.
    pub(super) highest_number: u64,
}

impl CatchingUp {
    /// An entry was sent.
    pub(super) fn note_sent(&mut self, event: &EntryEvent) {
        let number = event.entry.message().map_or(0, |message| message.number);
        self.highest_number = number.max(self.highest_number);
    }

    /// Whether the page has fetched this entry.
    pub(super) fn has_fetched(&self, event: &EntryEvent) -> bool {
        let (conversation, seq) = (event.entry.conversation, event.entry.seq);
        self.fetched.iter().any(|(fetched, up_to)| *fetched == conversation && seq <= *up_to)
    }
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
    /// Holds back entries from the start. `reads_own`: the replay sends all of the person's own entries. `lost`: the first entry of
    /// each conversation that its client missed on lost connections.
    pub(super) fn closed(reads_own: bool, lost: Vec<(ConversationId, Seq)>) -> Self {
        let catching_up = CatchingUp { lost, ..CatchingUp::default() };
        Self { reads_own, catching_up: Some(Box::new(catching_up)), replayed: None }
    }

    pub(super) fn is_catching_up(&self) -> bool {
        self.catching_up.is_some()
    }

    /// What is known until it is live.
    pub(super) fn catching_up(&self) -> Option<&CatchingUp> {
        self.catching_up.as_deref()
    }

    /// Mutable access to [`catching_up`](Self::catching_up).
    pub(super) fn catching_up_mut(&mut self) -> Option<&mut CatchingUp> {
        self.catching_up.as_deref_mut()
    }

    /// The log of a conversation has been replayed up to here.
    pub(super) fn replayed(&mut self, conversation: ConversationId, up_to: Seq) {
        let known = self.replayed.get_or_insert_default().entry(conversation).or_insert(up_to);
        *known = up_to.max(*known);
    }

    /// Takes out an own entry when the replay reaches it, so that it is sent in its place. False if it is not held.
    pub(super) fn take_own(&mut self, conversation: ConversationId, seq: Seq) -> bool {
        let Some(catching_up) = &mut self.catching_up else { return false };
        let is_it =
            |held: &Held| held.is_own && held.event.entry.conversation == conversation && held.event.entry.seq == seq;
        let found = catching_up.held.iter().position(is_it);
        found.map(|index| catching_up.held.remove(index)).is_some()
    }

    /// Goes live, unless something was held back meanwhile.
    pub(super) fn finish(&mut self) -> Next {
        let reads_own = self.reads_own;
        let Some(catching_up) = &mut self.catching_up else { return Next::Live };
        let mut held = std::mem::take(&mut catching_up.held);
        if let Some(first) = held.first().filter(|_| std::mem::take(&mut catching_up.had_too_much)) {
            let first = first.event.entry.seq;
            held.retain(|held| held.is_own && !reads_own);
            catching_up.held = held;
            return Next::ReadAgain { first };
        }
        if held.is_empty() {
            self.catching_up = None;
            return Next::Live;
        }
        let still_to_send = |held: Held| (held.is_own && !reads_own || self.is_new(&held.event)).then_some(held.event);
        Next::PassOn(held.into_iter().filter_map(still_to_send).collect())
    }

    /// Whether this entry may be sent now. If not, it has been replayed, or will be. `is_own`: the person is its author.
    pub(super) fn admits(&mut self, event: &Arc<EntryEvent>, is_own: bool) -> bool {
        let is_read = !is_own || self.reads_own;
        if let Some(catching_up) = &mut self.catching_up {
            let has_room = catching_up.held.len() < HELD;
            if has_room {
                catching_up.held.push(Held { event: event.clone(), is_own });
            } else if is_read {
                catching_up.had_too_much = true;
            }
            // The replay would not send it either.
            return !has_room && !is_read;
        }
        if !self.is_new(event) {
            return !is_read;
        }
        if let Some(replayed) = &mut self.replayed
            && replayed.remove(&event.entry.conversation).is_some()
            && replayed.is_empty()
        {
            self.replayed = None;
        }
        true
    }

    /// Whether the replay has not read an entry.
    fn is_new(&self, event: &EntryEvent) -> bool {
        let replayed = self.replayed.as_ref().and_then(|replayed| replayed.get(&event.entry.conversation));
        replayed.is_none_or(|up_to| event.entry.seq > *up_to)
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
    fn entries_published_during_the_catch_up_are_sent_once_after_the_replay() {
        let mut gate = Gate::closed(false, Vec::new());
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
    fn entries_that_are_too_many_to_hold_are_read_from_the_log() {
        let mut gate = Gate::closed(false, Vec::new());
        for seq in 1..=2000 {
            assert!(!gate.admits(&event(seq), false));
        }
        assert!(matches!(gate.finish(), Next::ReadAgain { .. }));
        assert!(matches!(gate.finish(), Next::Live));
    }

    #[test]
    fn a_live_entry_that_was_replayed_already_is_not_passed_on_again() {
        let mut gate = Gate::closed(false, Vec::new());
        gate.replayed(event(3).entry.conversation, Seq::new(3));
        assert!(matches!(gate.finish(), Next::Live));
        assert!(!gate.admits(&event(3), false));
        assert!(gate.admits(&event(4), false));
        assert!(gate.admits(&event(5), false));
    }

    #[test]
    fn an_own_entry_is_sent_in_its_place_when_the_replay_reaches_it_and_is_never_left_out() {
        let mut gate = Gate::closed(false, Vec::new());
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
        let mut gate = Gate::closed(false, Vec::new());
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
    fn a_replayed_place_never_moves_backwards() {
        let mut gate = Gate::closed(true, Vec::new());
        assert!(!gate.admits(&event(3), true));
        let conversation = event(3).entry.conversation;
        gate.replayed(conversation, Seq::new(3));
        gate.replayed(conversation, Seq::new(2));
        assert_eq!(passed_on(gate.finish()), [0; 0]);
        assert!(matches!(gate.finish(), Next::Live));
        assert!(!gate.admits(&event(3), true));
    }
}
