//! A page that lost its connection goes on exactly where it was: it can name the last entry that it got.
//!
//! The place is a number in the one order of all entries (see
//! [`newest_number`](crate::store::ConversationStore::newest_number)). A connection is sent live entries in that order, so the
//! number of the last message says what it got in all conversations together. On a store without such an order, a customer's
//! page names the last entry of the customer's own conversation; an agent's page names nothing, is let in again by
//! [`Desk::identify_page`], and is caught up like clients that can name nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::catch_up::{Held, LOOK_AGAIN, PAGE};
use crate::accounts::identify::IdentifyError;
use crate::desk::Desk;
use crate::desk::attendance::{Authenticated, Begun};
use crate::desk::conversations::list_for;
use crate::domain::{Entry, Members, Person, Place, Seq};
use crate::presence::{Begins, Connection, Recognized, Stream};
use crate::store::StoreError;

/// How long it may take until what is in the log has been told to everybody; beyond that, a page is told no place.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// How far this process has told the log, in the one order of all entries.
#[derive(Default)]
pub(in crate::desk) struct PublishedUpTo {
    /// The newest entry before this process appended anything; `None` inside if the store has no such order.
    base: OnceCell<Option<u64>>,
    told: AtomicU64,
}

impl PublishedUpTo {
    /// An entry was sent to everybody whom it concerns.
    pub(in crate::desk) fn advance(&self, entry: &Entry) {
        if let Some(message) = entry.message() {
            self.told.fetch_max(message.number, Ordering::AcqRel);
        }
    }
}

impl Desk {
    /// The newest message that was sent to everybody who is there; `None` if the store has no order of all entries, or fails.
    /// To be called before the first entry is appended, too.
    pub async fn published_up_to(&self) -> Option<u64> {
        let told = &self.0.published_up_to;
        let base = told.base.get_or_try_init(|| self.0.stores.conversations.newest_number()).await;
        match base {
            Ok(base) => base.map(|base| base.max(told.told.load(Ordering::Acquire))),
            Err(error) => {
                tracing::warn!(%error, "Could not read the number of the newest entry");
                None
            }
        }
    }

    /// Binds a page to whoever has just authenticated on it: gives the signed text for [`identify_page`](Self::identify_page).
    /// `None` if they have shown no token.
    #[must_use]
    pub fn bind_page(&self, page: &str, who: &Authenticated) -> Option<String> {
        Some(self.0.accounts.bind_page(page, who.person.id, who.token?, who.expires_at))
    }

    /// Tells whom a page was bound to, if that was no longer ago than `within` and their token and account still count.
    ///
    /// # Errors
    /// [`IdentifyError`] says why they are not let in.
    pub async fn identify_page(
        &self,
        page: &str,
        signed: &str,
        within: Duration,
    ) -> Result<Authenticated, IdentifyError> {
        let identified = self.0.accounts.identify_page(page, signed, within).await?;
        let person = Arc::new(Person::from(&identified.user));
        Ok(Authenticated { person, expires_at: identified.expires_at, token: Some(identified.token) })
    }

    /// Makes a connection somebody's whose page names its place. Entries are held back until
    /// [`replay_since`](Self::replay_since).
    pub async fn reconnect(&self, who: &Authenticated, connection: &Arc<dyn Connection>) -> Begun {
        self.admit(who, connection, Begins::FromPlace).await
    }

    /// Closes the connections of a page that comes back on this one, to be called before it is connected. `has_named_place`: it
    /// says what it got on them, so that it misses nothing.
    pub fn retire_page(&self, person: &Person, by: &dyn Connection, has_named_place: bool) {
        let page = by.recognized();
        for older in self.0.presence.connections(person.id) {
            if older.id() != by.id() && older.recognized() == page {
                tracing::debug!(connection.id = %older.id(), "A page reconnected");
                older.retire(has_named_place);
            }
        }
    }

    /// Where a page is once nothing is held back from it any more; `None` if that cannot be named.
    pub(in crate::desk) async fn place(&self, person: &Person, stream: &Stream) -> Option<Place> {
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

    /// A connection may have read entries that others are still to be told. One number says what it was sent only once they were
    /// told; that takes milliseconds, unless the server is overloaded.
    async fn place_in_all(&self, stream: &Stream) -> Option<Place> {
        let deadline = Instant::now() + TOLD_WITHIN;
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
        let conversations = &self.0.stores.conversations;
        let Some(own) = conversations.find(Members::Support { customer: person.id }).await? else {
            return Ok(Seq::ZERO);
        };
        let arrived = self.arrived_at(person.id, own.id).await?;
        Ok(arrived.max(stream.newest(own.id)).unwrap_or_default())
    }

    /// Replays every entry beyond its page's place that concerns this person, their own included, then lets live entries through.
    ///
    /// # Errors
    /// [`StoreError`] if the log could not be read. Then the connection has to be closed, so that its page tries again.
    pub async fn replay_since(&self, person: &Arc<Person>, begun: Begun, place: Place) -> Result<(), StoreError> {
        match place {
            Place::InAll(after) => self.replay_since_number(person, &begun.stream, after).await,
            Place::InOwn(after) => self.replay_since_seq(person, &begun.stream, after).await,
        }
    }

    async fn replay_since_number(
        &self,
        person: &Arc<Person>,
        stream: &Stream,
        mut after: u64,
    ) -> Result<(), StoreError> {
        // Looked up first: whatever lies before these ends was got already, or is read below.
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

    /// From their place in their own conversation; the others, if they have any, as for clients that can name nothing.
    async fn replay_since_seq(&self, person: &Arc<Person>, stream: &Stream, after: Seq) -> Result<(), StoreError> {
        let own = self.0.stores.conversations.find(Members::Support { customer: person.id }).await?;
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
            let page = self.0.stores.conversations.entries_since(list_for(person), *after, PAGE).await?;
            let is_last = page.len() < PAGE;
            let Some((last, _)) = page.last() else { return Ok(true) };
            let last = *last;
            for told in self.show_all(page.into_iter().map(|(_, entry)| entry)).await? {
                if self.0.directory.is_of_the_deleted(told.parties.conversation).await? {
                    continue;
                }
                if !self.replay_shown(person, stream, told).await {
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
