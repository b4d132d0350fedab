//! The delivery of the log on one connection: where it starts, whether it is live, and what is in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::gate::{Gate, Next};
use super::in_flight::InFlight;
use super::{Connection, Outgoing, SendOutcome};
use crate::domain::{ConnectionId, ConversationId, DeskEvent, EntryEvent, Place, Seq, UserId};

/// How a connection gets entries that are older than itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// It reads the log from its person's cursor.
    FromCursor,
    /// It reads the log from the place that its client names, the person's own entries included.
    FromPlace,
    /// Its client fetches them. Entries that were lost with an older connection are sent nevertheless.
    Live {
        /// Whether the log is read first even if nothing was lost.
        reads: bool,
    },
    /// Its client fetches everything by itself.
    LiveAlone,
}

/// A span of one conversation: its first and its last entry.
pub type Span = (ConversationId, Seq, Seq);

/// A connection of one person, and what it was sent of the log.
pub struct Stream {
    user: UserId,
    connection: Arc<dyn Connection>,
    begins: Begins,
    joined: Instant,
    state: Mutex<State>,
    listed: Arc<Listed>,
    /// Whether it is on that list.
    is_listed: AtomicBool,
}

struct State {
    gate: Gate,
    in_flight: InFlight,
    /// When the client was last pinged because of what is in flight.
    pinged_at: Option<Instant>,
    has_ended: bool,
}

impl Stream {
    pub(super) fn new(
        user: UserId,
        connection: Arc<dyn Connection>,
        listed: Arc<Listed>,
        begins: Begins,
        lost: Vec<(ConversationId, Seq)>,
        has_unsettled: bool,
    ) -> Self {
        let gate = match begins {
            Begins::FromCursor => Gate::closed(false, lost),
            Begins::FromPlace => Gate::closed(true, lost),
            Begins::Live { reads } if reads || has_unsettled || !lost.is_empty() => Gate::closed(true, lost),
            Begins::Live { .. } | Begins::LiveAlone => Gate::default(),
        };
        let state = State { gate, in_flight: InFlight::default(), pinged_at: None, has_ended: false };
        let (joined, state) = (Instant::now(), Mutex::new(state));
        Self { user, connection, begins, joined, state, listed, is_listed: AtomicBool::new(false) }
    }

    /// The id of the connection.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.connection.id()
    }

    /// When it joined.
    pub(super) const fn joined(&self) -> Instant {
        self.joined
    }

    /// The connection itself.
    #[must_use]
    pub fn connection(&self) -> &Arc<dyn Connection> {
        &self.connection
    }

    /// Whether its page has to be sent its place once the connection is live. A page that named its place knows it.
    #[must_use]
    pub fn needs_place(&self) -> bool {
        self.begins == Begins::FromCursor
    }

    /// Whether missed entries have to be sent to its client; others fetch everything.
    pub(super) fn is_made_up_for(&self) -> bool {
        self.begins != Begins::LiveAlone
    }

    /// Sends an event as it happens. An entry that has to be read from the log first is held back.
    pub(super) fn send(&self, outgoing: &Outgoing<'_>) -> SendOutcome {
        let DeskEvent::Entry(event) = outgoing.event else { return self.connection.send(outgoing) };
        let is_own = event.author.id == outgoing.viewer.id;
        let mut state = self.state();
        if state.has_ended {
            state.in_flight.note(event.entry.conversation, event.entry.seq);
            return SendOutcome::Closed;
        }
        if !state.gate.admits(event, is_own) {
            return SendOutcome::NotTaken;
        }
        let outcome = self.connection.send(outgoing);
        if outcome == SendOutcome::Sent
            && let Some(catching_up) = state.gate.catching_up_mut()
        {
            catching_up.note_sent(event);
        }
        // An own entry among those that are still to be read would hide that these have not arrived.
        if outcome == SendOutcome::Sent && !(is_own && state.gate.is_catching_up()) {
            self.note(&mut state, event.entry.conversation, event.entry.seq);
        }
        outcome
    }

    /// An entry was published to the person after the end of this connection.
    pub(super) fn note_missed(&self, event: &EntryEvent) {
        self.state().in_flight.note(event.entry.conversation, event.entry.seq);
    }

    /// Sends an entry that was read from the log.
    pub fn replay(&self, outgoing: &Outgoing<'_>) -> SendOutcome {
        let mut state = self.state();
        if state.has_ended {
            return SendOutcome::Closed;
        }
        let DeskEvent::Entry(event) = outgoing.event else { return self.connection.send(outgoing) };
        let Some(catching_up) = state.gate.catching_up_mut() else { return self.connection.send(outgoing) };
        if catching_up.has_fetched(event) {
            return SendOutcome::NotTaken;
        }
        let outcome = self.connection.send(outgoing);
        if outcome == SendOutcome::Sent {
            catching_up.note_sent(event);
        }
        outcome
    }

    /// The history of a conversation was fetched up to here. A page that has just been opened shows what it fetches, so that is
    /// not replayed to it any more. A page that has reconnected fetches nothing.
    pub(super) fn note_fetched(&self, conversation: ConversationId, up_to: Seq) {
        let mut state = self.state();
        let is_new_page = self.begins == Begins::FromCursor && self.connection.is_new_page();
        if let Some(catching_up) = state.gate.catching_up_mut().filter(|_| is_new_page) {
            catching_up.fetched.push((conversation, up_to));
        }
    }

    /// Takes out an entry of the person's own that was published during the replay, when the replay reaches it. False if it was not
    /// held back: the page knows older ones.
    #[must_use]
    pub fn take_own(&self, conversation: ConversationId, seq: Seq) -> bool {
        self.state().gate.take_own(conversation, seq)
    }

    /// The highest number of a message that was sent so far, where messages are numbered in one order. To be called before it is
    /// live.
    #[must_use]
    pub fn early_number(&self) -> u64 {
        self.state().gate.catching_up().map_or(0, |catching_up| catching_up.highest_number)
    }

    /// An entry that was held back has been sent.
    pub fn passed_on(&self, event: &EntryEvent) {
        self.note(&mut self.state(), event.entry.conversation, event.entry.seq);
    }

    /// The log of a conversation has been read up to here, and all of it that concerns the person was sent.
    pub fn read_up_to(&self, conversation: ConversationId, seq: Seq) {
        let mut state = self.state();
        state.gate.replayed(conversation, seq);
        self.note(&mut state, conversation, seq);
    }

    /// Goes live, unless entries were held back meanwhile. `place`: the position of its page then, which is sent before anything else.
    pub fn finish(&self, place: Option<Place>) -> Next {
        let mut state = self.state();
        let next = state.gate.finish();
        if let (Next::Live, Some(place)) = (&next, place) {
            self.connection.caught_up(place);
        }
        next
    }

    /// Whether entries are held back, since the log has to be read first.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.state().gate.is_catching_up()
    }

    /// Takes the first entry of each conversation that its client missed on lost connections.
    #[must_use]
    pub fn take_lost(&self) -> Vec<(ConversationId, Seq)> {
        let mut state = self.state();
        state.gate.catching_up_mut().map(|catching_up| std::mem::take(&mut catching_up.lost)).unwrap_or_default()
    }

    /// Its client missed these on an older connection, which was lost. Ignored unless the log has still to be read.
    pub(super) fn begin_with(&self, lost: &[Span]) {
        let mut state = self.state();
        if let Some(catching_up) = state.gate.catching_up_mut() {
            catching_up.lost.extend(lost.iter().map(|(conversation, first, _)| (*conversation, *first)));
        }
    }

    /// Whether the client of an older connection may have reconnected on this one: it may be the same client, and this one joined
    /// after the older one was last heard from.
    pub(super) fn may_succeed(&self, older: &Self, arrived: Instant) -> bool {
        self.id() > older.id()
            && self.joined >= arrived
            && self.connection.recognized() == older.connection.recognized()
    }

    /// What is in flight.
    pub(super) fn spans(&self) -> Vec<Span> {
        self.state().in_flight.spans()
    }

    /// The newest entry in flight of a conversation.
    #[must_use]
    pub fn newest(&self, conversation: ConversationId) -> Option<Seq> {
        self.state().in_flight.span(conversation).map(|(_, last)| last)
    }

    /// The client has received this conversation up to here in another way.
    pub(super) fn confirm(&self, conversation: ConversationId, up_to: Seq) {
        let mut state = self.state();
        state.in_flight.confirm(conversation, up_to);
        let Some(catching_up) = state.gate.catching_up_mut() else { return };
        if !self.connection.recognized().fetches_what_it_lost() {
            return;
        }
        for (_, first) in catching_up.lost.iter_mut().filter(|(lost, _)| *lost == conversation) {
            *first = up_to.next().max(*first);
        }
    }

    /// Removes and returns what was sent before this instant: it has arrived.
    pub(super) fn take_arrived(&self, before: Instant) -> Vec<(ConversationId, Seq)> {
        let arrived = self.state().in_flight.take_arrived(before);
        arrived.into_iter().map(|run| (run.conversation, run.last)).collect()
    }

    /// Whether its client has received all of these, or the connection has ended, so that they are known to be lost.
    pub(super) fn is_settled(&self, sent: &[Span]) -> bool {
        let state = self.state();
        let has_arrived =
            |(conversation, _, last): &Span| state.in_flight.span(*conversation).is_none_or(|(first, _)| first > *last);
        state.has_ended || sent.iter().all(has_arrived)
    }

    /// Whether its client is due to be pinged: something was sent before this instant and is still in flight, and it has not been
    /// pinged since then.
    pub(super) fn is_due_for_ping(&self, before: Instant) -> bool {
        let mut state = self.state();
        let is_due = state.in_flight.oldest().is_some_and(|oldest| oldest < before)
            && state.pinged_at.is_none_or(|pinged_at| pinged_at < before);
        if is_due {
            state.pinged_at = Some(Instant::now());
        }
        is_due
    }

    /// Ends the stream. Returns what is in doubt: everything that was not sent before this instant. Entries that are published to the
    /// person from now on count as in flight, too, for as long as the stream exists.
    pub(super) fn end(&self, arrived: Instant) -> Vec<Span> {
        let mut state = self.state();
        state.has_ended = true;
        state.in_flight.take_arrived(arrived);
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

    /// Removes it from the list, before it is checked; [`list_again`](Self::list_again) puts it back.
    pub(super) fn unlist(&self) {
        self.is_listed.store(false, Ordering::Release);
    }

    /// Puts it back on the list if anything is still in flight.
    pub(super) fn list_again(&self) {
        if !self.state().in_flight.is_empty() {
            self.list();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
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
        self.0.lock()
    }
}
