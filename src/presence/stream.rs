//! What one connection is sent of the log: whether it is live, what is in flight on it, and what it skipped.
//!
//! A connection that begins skips what is in flight on an older one of the same person: most often that is another tab, and
//! alive. Should the older one be lost before its client has shown to have it, the newer one owes it to its client; see
//! [`Presence::leave`](super::Presence::leave).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::gate::{Gate, Next};
use super::in_flight::InFlight;
use super::{Connection, Delivery, Outcome};
use crate::domain::{ConnectionId, ConversationId, DeskEvent, EntryTold, Seq, UserId};

/// How a connection gets what was said before it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// It reads the log from where its person was delivered to.
    FromCursor,
    /// It reads the log, the person's own entries included, from the place that its client names.
    FromPlace,
    /// Its client fetches that by itself. What was lost with an older connection comes all the same, and so does what is read
    /// from the log if `reads`.
    Live {
        /// Whether the log is read first although nothing was lost.
        reads: bool,
    },
    /// Its client fetches everything by itself.
    LiveAlone,
}

/// A span of one conversation: its first and its last entry.
pub type Span = (ConversationId, Seq, Seq);

/// A connection of one person, and how far it has got.
pub struct Stream {
    user: UserId,
    connection: Arc<dyn Connection>,
    begins: Begins,
    state: Mutex<State>,
    listed: Arc<Listed>,
    /// Whether it is on that list.
    is_listed: AtomicBool,
}

struct State {
    gate: Gate,
    in_flight: InFlight,
    /// What was in flight on older connections when this one began.
    skipped: HashMap<ConversationId, (Seq, Seq)>,
    /// When the client was last asked for a sign of life because of what is in flight.
    asked_at: Option<Instant>,
    has_ended: bool,
}

impl Stream {
    pub(super) fn new(
        user: UserId,
        connection: Arc<dyn Connection>,
        listed: Arc<Listed>,
        begins: Begins,
        has_lost: bool,
    ) -> Self {
        let gate = match begins {
            Begins::FromCursor => Gate::closed(false),
            Begins::FromPlace => Gate::closed(true),
            Begins::Live { reads } if reads || has_lost => Gate::closed(true),
            Begins::Live { .. } | Begins::LiveAlone => Gate::default(),
        };
        let state =
            State { gate, in_flight: InFlight::default(), skipped: HashMap::new(), asked_at: None, has_ended: false };
        Self { user, connection, begins, state: Mutex::new(state), listed, is_listed: AtomicBool::new(false) }
    }

    /// Names it.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.connection.id()
    }

    /// The connection itself.
    #[must_use]
    pub fn connection(&self) -> &Arc<dyn Connection> {
        &self.connection
    }

    /// Whether its client has to be sent what it misses; others fetch it by themselves.
    pub(super) fn is_made_up_for(&self) -> bool {
        self.begins != Begins::LiveAlone
    }

    /// Sends an event as it happens. An entry that has to be read from the log first is held back.
    pub(super) fn send(&self, delivery: &Delivery<'_>) -> Outcome {
        let DeskEvent::Entry(told) = delivery.event else { return self.connection.send(delivery) };
        let is_own = told.author.id == delivery.viewer.id;
        let mut state = self.state();
        if state.has_ended {
            state.in_flight.note(told.entry.conversation, told.entry.seq);
            return Outcome::Closed;
        }
        if !state.gate.admits(told, is_own) {
            return Outcome::NotTaken;
        }
        let outcome = self.connection.send(delivery);
        // An own entry among those that are still to be read would hide that these have not arrived.
        if outcome == Outcome::Sent && !(is_own && state.gate.is_catching_up()) {
            self.note(&mut state, told.entry.conversation, told.entry.seq);
        }
        outcome
    }

    /// An entry was told to the person after the end of this connection.
    pub(super) fn note_missed(&self, told: &EntryTold) {
        self.state().in_flight.note(told.entry.conversation, told.entry.seq);
    }

    /// Sends an entry that was read from the log.
    pub fn replay(&self, delivery: &Delivery<'_>) -> Outcome {
        let state = self.state();
        if state.has_ended { Outcome::Closed } else { self.connection.send(delivery) }
    }

    /// An entry that was held back has been sent.
    pub fn passed_on(&self, told: &EntryTold) {
        self.note(&mut self.state(), told.entry.conversation, told.entry.seq);
    }

    /// The log of a conversation has been read up to here, and all of it that concerns the person was sent.
    pub fn read_up_to(&self, conversation: ConversationId, seq: Seq) {
        let mut state = self.state();
        state.gate.replayed(conversation, seq);
        self.note(&mut state, conversation, seq);
    }

    /// What was due of a conversation has been sent, see [`Presence::leave`](super::Presence::leave).
    pub fn due_is_sent(&self, conversation: ConversationId) {
        self.state().in_flight.due_is_sent(conversation);
        self.list();
    }

    /// Goes live, unless something was held back meanwhile.
    pub fn finish(&self) -> Next {
        self.state().gate.finish()
    }

    /// Up to where nothing of this conversation has to be read from the log: it was sent here, or skipped, since an older
    /// connection was sent that. `None` if nothing is in flight.
    #[must_use]
    pub fn begins_after(&self, conversation: ConversationId) -> Option<Seq> {
        let state = self.state();
        let skipped = state.skipped.get(&conversation).map(|(_, last)| *last);
        skipped.max(state.in_flight.span(conversation).map(|(_, last)| last))
    }

    /// Skips what is in flight on an older connection: of all conversations, or of the only one that it is for.
    pub(super) fn skip(&self, older: &Self, only: Option<ConversationId>) {
        let spans = older.spans();
        let mut state = self.state();
        for (conversation, first, last) in spans {
            if only.is_none_or(|only| only == conversation) {
                let skipped = state.skipped.entry(conversation).or_insert((first, last));
                *skipped = (skipped.0.min(first), skipped.1.max(last));
            }
        }
    }

    /// It is sent this conversation from here on, whatever is in flight on older connections.
    pub(super) fn skip_nothing_from(&self, conversation: ConversationId, first: Seq) {
        let mut state = self.state();
        match state.skipped.get_mut(&conversation) {
            Some((from, _)) if *from >= first => drop(state.skipped.remove(&conversation)),
            Some((_, last)) => *last = first.previous().min(*last),
            None => {}
        }
    }

    /// Takes on what was lost on an older connection from `first` on, as far as it was skipped here. Gives what is due.
    pub(super) fn take_on(&self, (conversation, first, _): Span) -> Option<Span> {
        let mut state = self.state();
        let (from, last) = state.skipped.get(&conversation).copied()?;
        let first = first.max(from);
        if first > last {
            return None;
        }
        if first == from {
            state.skipped.remove(&conversation);
        } else {
            state.skipped.insert(conversation, (from, first.previous()));
        }
        state.in_flight.note_due(conversation, first, last);
        Some((conversation, first, last))
    }

    /// What is in flight.
    pub(super) fn spans(&self) -> Vec<Span> {
        self.state().in_flight.spans()
    }

    /// The newest entry in flight of a conversation.
    pub(super) fn newest(&self, conversation: ConversationId) -> Option<Seq> {
        self.state().in_flight.span(conversation).map(|(_, last)| last)
    }

    /// Everything of this conversation up to here has arrived in another way.
    pub(super) fn confirm(&self, conversation: ConversationId, up_to: Seq) {
        self.state().in_flight.confirm(conversation, up_to);
    }

    /// Takes out what was sent before this instant, which has arrived. `elsewhere`: what is in flight on other connections; what
    /// was skipped because of that is missing before the rest.
    pub(super) fn take_arrived(&self, before: Instant, elsewhere: &[Span]) -> Vec<(ConversationId, Seq)> {
        let State { in_flight, skipped, .. } = &mut *self.state();
        skipped.retain(|conversation, (_, last)| {
            elsewhere.iter().any(|(other, first, _)| other == conversation && first <= last)
        });
        let arrived = in_flight
            .take_arrived(before, |run| skipped.get(&run.conversation).is_some_and(|(_, last)| run.first > *last));
        arrived.into_iter().map(|run| (run.conversation, run.last)).collect()
    }

    pub(super) fn has_skipped(&self) -> bool {
        !self.state().skipped.is_empty()
    }

    /// Whether something was sent before this instant and is still in flight. Then its client is due to be asked for a sign of
    /// life, unless it was asked since then.
    pub(super) fn is_due_to_ask(&self, before: Instant) -> bool {
        let mut state = self.state();
        let is_due = state.in_flight.oldest().is_some_and(|oldest| oldest < before)
            && state.asked_at.is_none_or(|asked_at| asked_at < before);
        if is_due {
            state.asked_at = Some(Instant::now());
        }
        is_due
    }

    /// Nothing is sent any more. Gives what is in doubt: what was not sent before this instant. Whatever is told to the person from
    /// now on counts as in flight, too, for as long as the stream is kept.
    pub(super) fn end(&self, arrived: Instant) -> Vec<Span> {
        let mut state = self.state();
        state.has_ended = true;
        state.in_flight.take_arrived(arrived, |_| false);
        state.in_flight.spans()
    }

    fn note(&self, state: &mut State, conversation: ConversationId, seq: Seq) {
        state.in_flight.note(conversation, seq);
        self.list();
    }

    fn list(&self) {
        if !self.is_listed.swap(true, Ordering::AcqRel) {
            self.listed.add(self.user);
        }
    }

    /// Takes it from the list, before it is looked at; [`list_again`](Self::list_again) puts it back.
    pub(super) fn unlist(&self) {
        self.is_listed.store(false, Ordering::Release);
    }

    /// Puts it back on the list if something is in flight still.
    pub(super) fn list_again(&self) {
        if !self.state().in_flight.is_empty() {
            self.list();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose streams have something in flight.
#[derive(Default)]
pub(super) struct Listed(Mutex<Vec<UserId>>);

impl Listed {
    pub(super) fn add(&self, user: UserId) {
        self.all().push(user);
    }

    pub(super) fn take(&self) -> Vec<UserId> {
        std::mem::take(&mut *self.all())
    }

    fn all(&self) -> MutexGuard<'_, Vec<UserId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
