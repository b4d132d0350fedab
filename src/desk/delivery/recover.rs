//! A page that lost its connection continues exactly where it was: it can name the last entry that it received.
//!
//! The place is a number in the one order of all entries (see
//! [`newest_number`](crate::store::ConversationStore::newest_number)). A connection is sent live entries in that order, so the
//! number of the last message says what it received in all conversations. On a store without such an order, a customer's
//! page names the last entry of the customer's own conversation; an agent's page names nothing, and is caught up like
//! clients that cannot name a place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::Delivery;
use super::catch_up::{Begun, Held, LOOK_AGAIN, PAGE};
use crate::desk::directory::list_for;
use crate::domain::{Entry, Members, Person, Place, Seq};
use crate::presence::{Recognized, Stream};
use crate::store::StoreError;

/// How long to wait until everything that was read from the log has been published; after that, the page is sent no place.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(5);

/// How far this process has published the log, in the one order of all entries.
#[derive(Default)]
pub(super) struct PublishedUpTo {
    /// The newest entry before this process appended anything; `None` inside if the store has no such order.
    base: OnceCell<Option<u64>>,
    newest: AtomicU64,
}

impl PublishedUpTo {
    /// An entry was published.
    pub(super) fn advance(&self, entry: &Entry) {
        if let Some(message) = entry.message() {
            self.newest.fetch_max(message.number, Ordering::AcqRel);
        }
    }
}

impl Delivery {
    /// The newest message that has been published to all connections; `None` if the store has no order of all entries, or fails.
    /// To be called before the first entry is appended, too.
    pub async fn published_up_to(&self) -> Option<u64> {
        let published = &self.0.published_up_to;
        let base = published.base.get_or_try_init(|| self.0.store.newest_number()).await;
        match base {
            Ok(base) => base.map(|base| base.max(published.newest.load(Ordering::Acquire))),
            Err(error) => {
                tracing::warn!(%error, "Could not read the number of the newest entry");
                None
            }
        }
    }

    /// The place of a page once nothing is held back from it any more; `None` if it has none.
    pub(super) async fn place(&self, person: &Person, stream: &Stream) -> Option<Place> {
        if self.published_up_to().await.is_some() {
            return self.place_in_all(stream).await;
        }
        if person.role.is_agent() || !matches!(stream.connection().recognized(), Recognized::ByPage(_)) {
            return None;
        }
        match self.place_in_own(person, stream).await {
            Ok(seq) => Some(Place::InOwn(seq)),
            Err(error) => {
                tracing::warn!(%error, "Could not read how far a customer's conversation was sent");
                None
            }
        }
    }

    /// A connection may have read entries that are not published yet. Until they are, no single number describes what it was sent. That
    /// takes milliseconds, unless the server is overloaded.
    async fn place_in_all(&self, stream: &Stream) -> Option<Place> {
        let deadline = Instant::now() + PUBLISHED_WITHIN;
        loop {
            let number = self.published_up_to().await?;
            if number >= stream.early_number() {
                return Some(Place::InAll(number));
            }
            if Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn place_in_own(&self, person: &Person, stream: &Stream) -> Result<Seq, StoreError> {
        let conversations = &self.0.store;
        let Some(own) = conversations.find(Members::Support { customer: person.id }).await? else {
            return Ok(Seq::ZERO);
        };
        let arrived = self.arrived_up_to(person.id, own.id).await?;
        Ok(arrived.max(stream.newest(own.id)).unwrap_or_default())
    }

    /// Replays every entry beyond its page's place that concerns this person, their own included, then lets live entries through.
    ///
    /// # Errors
    /// [`StoreError`] if the log could not be read. Then the connection has to be closed, so that its page tries again.
    #[tracing::instrument(level = "debug", name = "desk.replay_since", skip_all, fields(
        user.id = %person.id, connection.id = %begun.stream().id(), place = %place
    ))]
    pub async fn replay_since(&self, person: &Arc<Person>, begun: Begun, place: Place) -> Result<(), StoreError> {
        match place {
            Place::InAll(after) => self.replay_since_number(person, begun.stream(), after).await,
            Place::InOwn(after) => self.replay_since_seq(person, begun.stream(), after).await,
        }
    }

    async fn replay_since_number(
        &self,
        person: &Arc<Person>,
        stream: &Stream,
        mut after: u64,
    ) -> Result<(), StoreError> {
        // Looked up first: everything before these ends was received already, or is read below.
        let missed = self.missed(person, stream, &[]).await?;
        loop {
            if !self.replay_log(person, stream, &mut after).await? {
                return Ok(());
            }
            for missed in &missed {
                stream.read_up_to(missed.conversation.id, missed.last_seq);
            }
            if let Held::PassedOn = self.pass_on_held(person, stream).await {
                return Ok(());
            }
            after = after.max(stream.early_number());
        }
    }

    /// From their place in their own conversation; the others, if they have any, as for clients that cannot name a place.
    async fn replay_since_seq(&self, person: &Arc<Person>, stream: &Stream, after: Seq) -> Result<(), StoreError> {
        let own = self.0.store.find(Members::Support { customer: person.id }).await?;
        let mut first = after.next();
        loop {
            let mut others = self.missed(person, stream, &stream.take_lost()).await?;
            others.retain(|missed| own.is_none_or(|own| own.id != missed.conversation.id));
            for missed in others {
                if !self.replay(person, stream, missed).await? {
                    return Ok(());
                }
            }
            if let Some(own) = own
                && !self.replay_all(person, stream, own, &mut first).await?
            {
                return Ok(());
            }
            if let Held::PassedOn = self.pass_on_held(person, stream).await {
                return Ok(());
            }
        }
    }

    /// False if the connection is closed.
    async fn replay_log(&self, person: &Arc<Person>, stream: &Stream, after: &mut u64) -> Result<bool, StoreError> {
        loop {
            let page = self.0.store.entries_since(list_for(person), *after, PAGE).await?;
            let is_last = page.len() < PAGE;
            let Some((last, _)) = page.last() else { return Ok(true) };
            let last = *last;
            for event in self.0.events.build_all(page.into_iter().map(|(_, entry)| entry)).await? {
                if self.0.directory.is_of_the_deleted(event.parties.conversation).await? {
                    continue;
                }
                if !self.replay_shown(person, stream, event).await {
                    return Ok(false);
                }
            }
            *after = last;
            if is_last {
                return Ok(true);
            }
        }
    }
}
