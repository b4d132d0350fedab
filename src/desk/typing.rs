//! Somebody types. Not an entry: it is told to whoever is there, and ends by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Desk;
use crate::domain::{ConnectionId, ConversationId, DeskEvent, Members, Parties, Person, Side, TypingChange, UserId};
use crate::store::StoreError;

/// How often it is looked who has ceased to type.
const PERIOD: Duration = Duration::from_millis(250);

/// A renewal within this time is not told again.
const QUIET: Duration = Duration::from_secs(1);

/// The most people who may type at once on this node; more are not told of.
const TYPISTS: usize = 50_000;

/// Who types where.
#[derive(Default)]
pub(super) struct TypingBoard(Mutex<HashMap<(UserId, ConversationId), Typist>>);

struct Typist {
    change: TypingChange,
    connection: Option<ConnectionId>,
    until: Instant,
    told_at: Instant,
}

impl TypingBoard {
    fn typists(&self) -> MutexGuard<'_, HashMap<(UserId, ConversationId), Typist>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_where(&self, ended: impl Fn(&Typist) -> bool) -> Vec<TypingChange> {
        let mut typists = self.typists();
        typists.extract_if(|_, typist| ended(typist)).map(|(_, typist)| typist.change).collect()
    }
}

impl Desk {
    /// `typist` begins (or goes on) to type to a person. Somebody with whom there is nothing to talk about hears nothing:
    /// between customers there must be a conversation already.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn start_typing(
        &self,
        typist: &Arc<Person>,
        to: UserId,
        connection: Option<ConnectionId>,
    ) -> Result<(), StoreError> {
        let Some((parties, side)) = self.typing_place(typist, to).await? else { return Ok(()) };
        let key = (typist.id, parties.conversation.id);
        let now = Instant::now();
        let change = {
            let mut typists = self.0.typing.typists();
            let full = typists.len() >= TYPISTS;
            match typists.get_mut(&key) {
                Some(known) => {
                    known.until = now + self.0.settings.typing_ttl;
                    known.connection = connection;
                    if now.duration_since(known.told_at) < QUIET {
                        return Ok(());
                    }
                    known.told_at = now;
                    known.change.clone()
                }
                None if full => return Ok(()),
                None => {
                    let change = TypingChange { parties, side, typist: typist.clone(), is_typing: true };
                    let until = now + self.0.settings.typing_ttl;
                    typists.insert(key, Typist { change: change.clone(), connection, until, told_at: now });
                    change
                }
            }
        };
        self.tell_typing(change);
        Ok(())
    }

    /// `typist` ceases to type to a person. Told even if nobody knew of the typing, as the replaced server did.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn stop_typing(&self, typist: &Arc<Person>, to: UserId) -> Result<(), StoreError> {
        let Some((parties, side)) = self.typing_place(typist, to).await? else { return Ok(()) };
        self.0.typing.typists().remove(&(typist.id, parties.conversation.id));
        self.tell_typing(TypingChange { parties, side, typist: typist.clone(), is_typing: false });
        Ok(())
    }

    /// What was typed on this connection ends with it.
    pub(super) fn stop_typing_on(&self, connection: ConnectionId) {
        for change in self.0.typing.take_where(|typist| typist.connection == Some(connection)) {
            self.tell_typing_ended(&change);
        }
    }

    pub(super) async fn expire_typing(&self) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            let now = tick.tick().await;
            for change in self.0.typing.take_where(|typist| typist.until <= now) {
                self.tell_typing_ended(&change);
            }
        }
    }

    /// Where the typing happens. The desk may be typed to before anything was said; two customers must have talked
    /// before, else one could learn by typing that the other is there.
    async fn typing_place(&self, typist: &Person, to: UserId) -> Result<Option<(Parties, Side)>, StoreError> {
        let Some(members) = self.0.directory.members_with(typist, to).await? else { return Ok(None) };
        let conversation = match members {
            Members::Support { .. } => self.open_conversation(members).await?,
            Members::Direct { .. } => match self.0.directory.find(members).await? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let Some(side) = members.side_of(typist.id, typist.role.is_agent()) else { return Ok(None) };
        Ok(Some((self.0.directory.parties(conversation).await?, side)))
    }

    fn tell_typing_ended(&self, change: &TypingChange) {
        self.tell_typing(TypingChange { is_typing: false, ..change.clone() });
    }

    fn tell_typing(&self, change: TypingChange) {
        let (typist, members) = (change.typist.id, change.parties.conversation.members);
        let event = DeskEvent::Typing(Arc::new(change));
        for hearer in self.hearers(members) {
            if hearer != typist {
                self.0.presence.tell(hearer, &event);
            }
        }
    }
}
