//! Somebody types. Not an entry: it is told to whoever is there.
//!
//! It ends when the client says so, when it sends a message, or when its connection ends. Existing frontends say once that typing
//! has begun, however long it goes on, so the time bound is only there for clients that never say that it has ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Desk;
use crate::domain::{
    ConnectionId, ConversationId, DeskEvent, EntryTold, Members, Parties, Person, Side, TypingChange, UserId,
};
use crate::store::StoreError;

/// How often it is looked whose typing has lasted too long.
const PERIOD: Duration = Duration::from_millis(250);

/// A renewal within this time is not told again.
const QUIET: Duration = Duration::from_secs(1);

/// The most connections that may type at once on this node; more are not told of.
const TYPISTS: usize = 50_000;

/// Who types where, by connection: one person may type in two tabs.
#[derive(Default)]
pub(super) struct TypingBoard(Mutex<Board>);

#[derive(Default)]
struct Board {
    conversations: HashMap<ConversationId, Vec<Typist>>,
    count: usize,
}

struct Typist {
    change: TypingChange,
    connection: Option<ConnectionId>,
    until: Instant,
    told_at: Instant,
}

impl Typist {
    fn is(&self, user: UserId, connection: Option<ConnectionId>) -> bool {
        self.change.typist.id == user && self.connection == connection
    }
}

/// Typing that has ended, and what goes on beside it.
struct Ended {
    change: TypingChange,
    /// The same person still types there, on another connection.
    person_types: bool,
    /// Somebody on the same side still types there.
    side_types: bool,
}

impl Board {
    /// Takes out the typists of a conversation whose typing has ended.
    fn end_in(&mut self, conversation: ConversationId, ended: impl FnMut(&mut Typist) -> bool) -> Vec<Ended> {
        let Some(typists) = self.conversations.get_mut(&conversation) else { return Vec::new() };
        let gone: Vec<Typist> = typists.extract_if(.., ended).collect();
        self.count -= gone.len();
        let goes_on = |typist: &Typist| Ended {
            change: TypingChange { is_typing: false, ..typist.change.clone() },
            person_types: typists.iter().any(|other| other.change.typist.id == typist.change.typist.id),
            side_types: typists.iter().any(|other| other.change.side == typist.change.side),
        };
        let all = gone.iter().map(goes_on).collect();
        if typists.is_empty() {
            self.conversations.remove(&conversation);
        }
        all
    }

    /// The same in all conversations.
    fn end_everywhere(&mut self, mut ended: impl FnMut(&mut Typist) -> bool) -> Vec<Ended> {
        let conversations: Vec<ConversationId> = self.conversations.keys().copied().collect();
        conversations.into_iter().flat_map(|conversation| self.end_in(conversation, &mut ended)).collect()
    }
}

impl TypingBoard {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let now = Instant::now();
        let until = now + self.0.settings.typing_ttl;
        let change = {
            let mut board = self.0.typing.board();
            let is_full = board.count >= TYPISTS;
            let typists = board.conversations.entry(parties.conversation.id).or_default();
            if let Some(known) = typists.iter_mut().find(|known| known.is(typist.id, connection)) {
                known.until = until;
                if now.duration_since(known.told_at) < QUIET {
                    return Ok(());
                }
                known.told_at = now;
                known.change.clone()
            } else {
                let change = TypingChange { parties, side, typist: typist.clone(), is_typing: true };
                if is_full {
                    return Ok(());
                }
                typists.push(Typist { change: change.clone(), connection, until, told_at: now });
                board.count += 1;
                change
            }
        };
        self.tell_typing(change, |_| true);
        Ok(())
    }

    /// `typist` ceases to type to a person on a connection. Told even if nobody knew of the typing, as the replaced server did,
    /// but not while they type on another one.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn stop_typing(
        &self,
        typist: &Arc<Person>,
        to: UserId,
        connection: Option<ConnectionId>,
    ) -> Result<(), StoreError> {
        let Some((parties, side)) = self.typing_place(typist, to).await? else { return Ok(()) };
        let ended = {
            let mut board = self.0.typing.board();
            let conversation = parties.conversation.id;
            let mut ended = board.end_in(conversation, |known| known.is(typist.id, connection));
            ended.pop().unwrap_or_else(|| {
                let others = board.conversations.get(&conversation).map(Vec::as_slice).unwrap_or_default();
                Ended {
                    person_types: others.iter().any(|other| other.change.typist.id == typist.id),
                    side_types: others.iter().any(|other| other.change.side == side),
                    change: TypingChange { parties, side, typist: typist.clone(), is_typing: false },
                }
            })
        };
        self.tell_typing_ended(ended);
        Ok(())
    }

    /// What was typed on this connection ends with it.
    pub(super) fn stop_typing_on(&self, connection: ConnectionId) {
        let ended = self.0.typing.board().end_everywhere(|typist| typist.connection == Some(connection));
        for ended in ended {
            self.tell_typing_ended(ended);
        }
    }

    /// Whoever has sent a message has ceased to type it: on the connection that it came from or, if it came by a request, on all
    /// of theirs.
    pub(super) fn stop_typing_what_is_sent(&self, told: &EntryTold) {
        let (author, conversation) = (told.author.id, told.entry.conversation);
        let ended = {
            let mut board = self.0.typing.board();
            board.end_in(conversation, |typist| {
                typist.change.typist.id == author && (told.origin.is_none() || typist.connection == told.origin)
            })
        };
        for ended in ended {
            self.tell_typing_ended(ended);
        }
    }

    pub(super) async fn expire_typing(&self) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            let now = tick.tick().await;
            let ended = self.0.typing.board().end_everywhere(|typist| typist.until <= now);
            for ended in ended {
                self.tell_typing_ended(ended);
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

    /// To a customer the desk is one, so it types for as long as any agent does.
    fn tell_typing_ended(&self, ended: Ended) {
        let Ended { change, person_types, side_types } = ended;
        if person_types {
            return;
        }
        let customer = match change.parties.conversation.members {
            Members::Support { customer } => Some(customer),
            Members::Direct { .. } => None,
        };
        self.tell_typing(change, |hearer| !(side_types && customer == Some(hearer)));
    }

    fn tell_typing(&self, change: TypingChange, concerns: impl Fn(UserId) -> bool) {
        let (typist, members) = (change.typist.id, change.parties.conversation.members);
        let event = DeskEvent::Typing(Arc::new(change));
        for hearer in self.hearers(members) {
            if hearer != typist && concerns(hearer) {
                self.0.presence.tell(hearer, &event);
            }
        }
    }
}
