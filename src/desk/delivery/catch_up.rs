//! Replays missed messages to clients that cannot name what they have received.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Delivery;
use crate::desk::directory::list_for;
use crate::domain::{Conversation, ConversationId, DeskEvent, EntryEvent, Person, Seq};
use crate::presence::{Frames, Next, Older, Outgoing, SendOutcome, Stream};
use crate::store::{Missed, StoreError, is_last_page};

/// Conversations replayed at most.
const CONVERSATIONS: usize = 500;

/// How many entries are read at a time.
pub(super) const PAGE: usize = 200;

/// Upper bound for older connections of a reconnected client to answer or be closed.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);

/// Polling interval while waiting for that, and for other conditions.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long to wait for room in the queue of a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Interval between attempts.
const RETRY: Duration = Duration::from_millis(5);

/// Result of sending the entries held back during the replay.
pub(super) enum Held {
    /// They were sent, and the connection is live, or closed.
    PassedOn,
    /// There were too many, so the log has to be read again. `first`: the place of the first of them in its conversation.
    TooMany { first: Seq },
}

/// A connection that a person has just authenticated, and that may have to be caught up.
pub struct Begun {
    stream: Arc<Stream>,
    /// Connections that its client may have had before.
    older: Vec<Older>,
}

impl Begun {
    pub(in crate::desk) fn new(stream: Arc<Stream>, older: Vec<Older>) -> Self {
        Self { stream, older }
    }

    pub(in crate::desk) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Whether it is not known yet what its client may have lost with older connections.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.stream.is_catching_up() && self.older.iter().any(|older| !older.is_settled())
    }
}

impl Delivery {
    /// Replays to a connection the messages that its person has missed, in order, then lets live entries through.
    ///
    /// # Errors
    /// [`StoreError`] if the log could not be read. Then the connection is not live and has to be ended, so that its client
    /// reconnects and it is tried again: a live entry would hide what was missed before it. Only unreadable entries are skipped.
    #[tracing::instrument(level = "debug", name = "desk.catch_up", skip_all, fields(
        user.id = %person.id, connection.id = %begun.stream().id()
    ))]
    pub async fn catch_up(&self, person: &Arc<Person>, begun: Begun) -> Result<(), StoreError> {
        self.settle_older(person, &begun).await;
        let stream = begun.stream;
        loop {
            match self.replay_missed(person, &stream, &stream.take_lost()).await {
                Ok(()) => {}
                Err(StoreError::Corrupt(what)) => tracing::error!("Could not replay missed messages: {what}"),
                Err(error) => return Err(error),
            }
            if let Held::PassedOn = self.pass_on_held(person, &stream).await {
                return Ok(());
            }
        }
    }

    /// Sends the entries held back meanwhile, and goes live.
    pub(super) async fn pass_on_held(&self, person: &Arc<Person>, stream: &Stream) -> Held {
        loop {
            // Read first: everything published up to then was sent on this connection or is held.
            let place = if stream.needs_place() { self.place(person, stream).await } else { None };
            let held = match stream.finish(place) {
                Next::Live => return Held::PassedOn,
                Next::ReadAgain { first } => return Held::TooMany { first },
                Next::PassOn(held) => held,
            };
            for event in held {
                if !replay_one(person, stream, event.clone()).await {
                    return Held::PassedOn;
                }
                stream.passed_on(&event);
                if event.is_message() {
                    self.note_replayed(person, &event, event.entry.seq.previous());
                }
            }
        }
    }

    async fn replay_missed(
        &self,
        person: &Arc<Person>,
        stream: &Stream,
        lost: &[(ConversationId, Seq)],
    ) -> Result<(), StoreError> {
        for missed in self.missed(person, stream, lost).await? {
            if !self.replay(person, stream, missed).await? {
                break;
            }
        }
        Ok(())
    }

    /// Waits until it is known what has arrived on the connections that the client may have had before: they answer, or are closed.
    /// One that does neither, because its client reads too slowly, counts as lost.
    pub(in crate::desk) async fn settle_older(&self, person: &Person, Begun { stream, older }: &Begun) {
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            for (conversation, up_to) in older.iter().flat_map(Older::take_arrived) {
                self.0.cursors.advance(person.id, conversation, up_to);
            }
            if older.iter().all(Older::is_settled) {
                return;
            }
            if Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        for older in older.iter().filter(|older| !older.is_settled()) {
            older.give_up(stream);
        }
    }

    /// The conversations in which this person has missed entries: beyond their cursor and what this connection was sent, or from where
    /// an earlier connection was lost. Nothing is written, so that people can connect while the store is read-only.
    pub(super) async fn missed(
        &self,
        person: &Person,
        stream: &Stream,
        lost: &[(ConversationId, Seq)],
    ) -> Result<Vec<Missed>, StoreError> {
        let mut all = self.0.store.missed(list_for(person), CONVERSATIONS).await?;
        for missed in &mut all {
            let id = missed.conversation.id;
            let known = self.0.cursors.get(person.id, id).max(stream.newest(id));
            missed.after = missed.after.max(known.unwrap_or_default());
        }
        for (id, first) in lost {
            if let Some(missed) = all.iter_mut().find(|missed| missed.conversation.id == *id) {
                missed.after = first.previous();
                continue;
            }
            let Some(summary) = self.0.store.summary(*id).await? else { continue };
            let (conversation, last_seq) = (summary.conversation, summary.last_seq);
            if conversation.members.side_of_person(person).is_some() {
                all.push(Missed { conversation, after: first.previous(), last_seq });
            }
        }
        all.retain(|missed| missed.after < missed.last_seq);
        let mut shown = Vec::with_capacity(all.len());
        for missed in all {
            if !self.0.directory.is_of_the_deleted(missed.conversation).await? {
                shown.push(missed);
            }
        }
        Ok(shown)
    }

    /// Replays one conversation. False if the connection is closed.
    pub(super) async fn replay(
        &self,
        person: &Arc<Person>,
        stream: &Stream,
        missed: Missed,
    ) -> Result<bool, StoreError> {
        let mut after = missed.after;
        let mut handed = after;
        loop {
            let page = self.0.store.entries_after(missed.conversation.id, after, PAGE).await?;
            let is_last = is_last_page(&page, PAGE);
            for event in self.0.events.build(missed.conversation, page).await? {
                let (conversation, seq) = (event.entry.conversation, event.entry.seq);
                let event = Arc::new(event);
                let is_own = event.author.id == person.id;
                let is_to_send = !is_own || (event.entry.message().is_some() && stream.take_own(conversation, seq));
                if event.is_message() && is_to_send {
                    if !replay_one(person, stream, event.clone()).await {
                        return Ok(false);
                    }
                    self.note_replayed(person, &event, handed);
                    handed = seq;
                }
                after = seq;
                stream.read_up_to(conversation, seq);
            }
            if is_last {
                return Ok(true);
            }
        }
    }

    /// Replays a conversation from this entry on, the person's own entries included, then lets live entries through. Nothing is
    /// replayed at first if no entry is named.
    pub(in crate::desk) async fn replay_from(
        &self,
        person: &Arc<Person>,
        stream: &Stream,
        conversation: Conversation,
        first: Option<Seq>,
    ) -> Result<(), StoreError> {
        let mut begins = first;
        loop {
            if let Some(first) = &mut begins
                && !self.replay_all(person, stream, conversation, first).await?
            {
                return Ok(());
            }
            match self.pass_on_held(person, stream).await {
                Held::PassedOn => return Ok(()),
                Held::TooMany { first } => begins = begins.or(Some(first)),
            }
        }
    }

    /// Replays a conversation from an entry on, the person's own entries included; `first` becomes the one after the last. False if
    /// the connection is closed.
    pub(super) async fn replay_all(
        &self,
        person: &Arc<Person>,
        stream: &Stream,
        conversation: Conversation,
        first: &mut Seq,
    ) -> Result<bool, StoreError> {
        loop {
            let page = self.0.store.entries_after(conversation.id, first.previous(), PAGE).await?;
            let is_last = is_last_page(&page, PAGE);
            for event in self.0.events.build(conversation, page).await? {
                *first = event.entry.seq.next();
                if !self.replay_shown(person, stream, event).await {
                    return Ok(false);
                }
            }
            if is_last {
                return Ok(true);
            }
        }
    }

    /// Replays an entry, also the person's own. False if the connection is closed.
    pub(super) async fn replay_shown(&self, person: &Arc<Person>, stream: &Stream, event: EntryEvent) -> bool {
        let event = Arc::new(event);
        let (conversation, seq) = (event.entry.conversation, event.entry.seq);
        // A message that was deleted since is shown to nobody.
        let is_shown = event.entry.message().is_none() || event.is_message();
        if is_shown && !replay_one(person, stream, event.clone()).await {
            return false;
        }
        stream.read_up_to(conversation, seq);
        if event.is_message() {
            self.note_replayed(person, &event, seq.previous());
        }
        true
    }
}

/// Sends one entry, waiting for room. False if the connection is closed. One that has no room for too long is closed, like any
/// that reads too slowly.
pub(super) async fn replay_one(person: &Person, stream: &Stream, event: Arc<EntryEvent>) -> bool {
    let event = DeskEvent::Entry(event);
    let frames = Frames::default();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_replay = Instant::now() < deadline;
        match stream.replay(&Outgoing { event: &event, viewer: person, is_replay, frames: &frames }) {
            SendOutcome::Sent | SendOutcome::NotTaken => return true,
            SendOutcome::Closed => return false,
            SendOutcome::Full => tokio::time::sleep(RETRY).await,
        }
    }
}
