//! To hear what was said while one was away: for clients that cannot name what they have.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Desk;
use super::list_conversations::list_for;
use crate::domain::{DeskEvent, EntryTold, Person};
use crate::presence::{Connection, Delivery, Frames, Next, Outcome};
use crate::store::{Missed, StoreError, is_last_page};

/// The most conversations that are caught up on.
const CONVERSATIONS: usize = 500;

/// How many entries are read at a time.
pub(super) const PAGE: usize = 200;

/// How long a connection without room is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is tried.
const RETRY: Duration = Duration::from_millis(5);

/// What became of the entries that were held back while a connection read the log.
pub(super) enum Held {
    /// They were sent, and the connection is live, or closed. The newest message that everybody had been sent by then.
    PassedOn(Option<u64>),
    /// There were too many, so the log has to be read again.
    TooMany,
}

impl Desk {
    /// Replays to a connection the messages that its person has missed, in order, then lets live entries through.
    ///
    /// # Errors
    /// [`StoreError`] if the log could not be read. Then the connection is not live and has to be ended, so that its client
    /// comes back and it is tried again: a live entry would hide what was missed before it. Only what will never be readable
    /// is passed over.
    ///
    /// Gives the newest message of all that was sent to it, or before it came, by its number; `None` if that is not known.
    pub async fn catch_up(
        &self,
        person: &Arc<Person>,
        connection: &Arc<dyn Connection>,
    ) -> Result<Option<u64>, StoreError> {
        loop {
            match self.replay_missed(person, connection).await {
                Ok(()) => {}
                Err(StoreError::Corrupt(what)) => tracing::error!("Somebody cannot be caught up: {what}"),
                Err(error) => return Err(error),
            }
            if let Held::PassedOn(newest) = self.pass_on_held(person, connection, &mut 0).await {
                return Ok(newest);
            }
        }
    }

    /// Passes on what was told meanwhile. `newest` becomes the number of the newest message that it passed on.
    pub(super) async fn pass_on_held(
        &self,
        person: &Arc<Person>,
        connection: &Arc<dyn Connection>,
        newest: &mut u64,
    ) -> Held {
        loop {
            // Looked at first: what was told up to then is held now, if the connection was there.
            let told_up_to = self.told_up_to().await;
            let held = match connection.feed().finish() {
                Next::Live => return Held::PassedOn(told_up_to),
                Next::ReadAgain => return Held::TooMany,
                Next::PassOn(held) => held,
            };
            for told in held {
                let (conversation, seq) = (told.entry.conversation, told.entry.seq);
                if !replay_one(person, connection, told.clone()).await {
                    return Held::PassedOn(None);
                }
                *newest = told.entry.message().map_or(*newest, |message| message.number.max(*newest));
                if told.is_message() {
                    self.note_replayed(person, &told, seq.previous());
                }
                if !self.note_delivery(person.id, conversation, seq) {
                    return Held::PassedOn(None);
                }
            }
        }
    }

    async fn replay_missed(&self, person: &Arc<Person>, connection: &Arc<dyn Connection>) -> Result<(), StoreError> {
        for missed in self.missed(person).await? {
            if !self.replay(person, connection, missed).await? {
                break;
            }
        }
        Ok(())
    }

    /// Where this person has missed something: by the store, and by what is noted and may not be in the store yet. Nothing
    /// is written for it, so that people can come in while the store cannot keep anything.
    pub(super) async fn missed(&self, person: &Person) -> Result<Vec<Missed>, StoreError> {
        let mut all = self.0.stores.conversations.missed(list_for(person), CONVERSATIONS).await?;
        for (id, after) in self.0.deliveries.unsettled(person.id) {
            if all.iter().any(|missed| missed.conversation.id == id) {
                continue;
            }
            let Some(summary) = self.0.stores.conversations.summary(id).await? else { continue };
            let (conversation, last_seq) = (summary.conversation, summary.last_seq);
            if conversation.members.side_of(person.id, person.role.is_agent()).is_some() {
                all.push(Missed { conversation, after, last_seq });
            }
        }
        for missed in &mut all {
            missed.after = self.0.deliveries.known(person.id, missed.conversation.id).unwrap_or(missed.after);
        }
        all.retain(|missed| missed.after < missed.last_seq);
        Ok(all)
    }

    /// Replays one conversation. False if the connection is closed.
    async fn replay(
        &self,
        person: &Arc<Person>,
        connection: &Arc<dyn Connection>,
        missed: Missed,
    ) -> Result<bool, StoreError> {
        let mut after = missed.after;
        let mut handed = after;
        loop {
            let page = self.0.stores.conversations.entries_after(missed.conversation.id, after, PAGE).await?;
            let is_last = is_last_page(&page, PAGE);
            for told in self.show(missed.conversation, page).await? {
                let (conversation, seq) = (told.entry.conversation, told.entry.seq);
                let told = Arc::new(told);
                if told.is_message() && told.author.id != person.id {
                    if !replay_one(person, connection, told.clone()).await {
                        return Ok(false);
                    }
                    self.note_replayed(person, &told, handed);
                    handed = seq;
                }
                after = seq;
                connection.feed().replayed(conversation, seq);
                if !self.note_delivery(person.id, conversation, seq) {
                    return Ok(false);
                }
            }
            if is_last {
                return Ok(true);
            }
        }
    }
}

/// Sends one entry, waiting for room. False if the connection is closed; one that has had no room for too long is cut off,
/// like any that does not keep up.
pub(super) async fn replay_one(person: &Person, connection: &Arc<dyn Connection>, told: Arc<EntryTold>) -> bool {
    let event = DeskEvent::Entry(told);
    let frames = Frames::default();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_replay = Instant::now() < deadline;
        match connection.send(&Delivery { event: &event, viewer: person, is_replay, frames: &frames }) {
            Outcome::Sent | Outcome::NotTaken => return true,
            Outcome::Closed => return false,
            Outcome::Full => tokio::time::sleep(RETRY).await,
        }
    }
}
