//! Typing notices. They are not entries: they are sent to whoever is connected.
//!
//! A notice ends when the client says so, when it sends a message, or when its connection closes. Existing frontends announce the
//! start only once, however long somebody types, so the timeout is only for clients that never announce the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::desk::Desk;
use crate::domain::{
    ConnectionId, ConversationId, DeskEvent, EntryEvent, Members, Parties, Person, Side, TypingChange, UserId,
};
use crate::store::StoreError;

/// How often it is looked whose typing has lasted too long.
const PERIOD: Duration = Duration::from_millis(250);

/// What one person does in one conversation is told at most so often: the beginning once, and the end once.
const QUIET: Duration = Duration::from_secs(1);

/// The most connections that may type at once on this node; more are not told of.
const TYPISTS: usize = 50_000;

/// Who types where, by connection: one person may type in two tabs.
#[derive(Default)]
pub(in crate::desk) struct TypingBoard(Mutex<Board>);

#[derive(Default)]
struct Board {
    conversations: HashMap<ConversationId, Vec<Typist>>,
    count: usize,
    /// What was told within the last moment.
    recent: HashMap<Place, Recent>,
}

/// One person's connection in one conversation.
type Place = (ConversationId, UserId, Option<ConnectionId>);

/// What was told of one [`Place`].
#[derive(Default)]
struct Recent {
    began_at: Option<Instant>,
    ended_at: Option<Instant>,
    /// What everybody believes.
    is_typing: bool,
    /// The newest change that was not told: it is, later, if it still holds.
    late: Option<TypingChange>,
}

impl Recent {
    fn told_at(&mut self, is_typing: bool) -> &mut Option<Instant> {
        if is_typing { &mut self.began_at } else { &mut self.ended_at }
    }

    /// Whether this may be told now. It then counts as told.
    fn admit(&mut self, is_typing: bool, now: Instant) -> bool {
        let told_at = self.told_at(is_typing);
        if told_at.is_some_and(|at| now - at < QUIET) {
            return false;
        }
        *told_at = Some(now);
        self.is_typing = is_typing;
        self.late = None;
        true
    }

    fn is_old(&self, now: Instant) -> bool {
        let newest = self.began_at.max(self.ended_at);
        self.late.is_none() && newest.is_none_or(|at| now - at >= QUIET)
    }
}

struct Typist {
    change: TypingChange,
    connection: Option<ConnectionId>,
    until: Instant,
}

impl Typist {
    fn is(&self, user: UserId, connection: Option<ConnectionId>) -> bool {
        self.change.typist.id == user && self.connection == connection
    }
}

/// Typing that has ended, and what goes on beside it.
struct Ended {
    change: TypingChange,
    connection: Option<ConnectionId>,
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
            connection: typist.connection,
            person_types: typists.iter().any(|other| other.change.typist.id == typist.change.typist.id),
            side_types: typists.iter().any(|other| other.change.side == typist.change.side),
        };
        let all = gone.iter().map(goes_on).collect();
        if typists.is_empty() {
            self.conversations.remove(&conversation);
        }
        all
    }

    /// Whether a change may be told now. If not, it is remembered for later.
    fn admit(&mut self, change: &TypingChange, connection: Option<ConnectionId>, now: Instant) -> bool {
        let place = (change.parties.conversation.id, change.typist.id, connection);
        if !self.recent.contains_key(&place) && self.recent.len() >= TYPISTS {
            return false;
        }
        let recent = self.recent.entry(place).or_default();
        let may = recent.admit(change.is_typing, now);
        // Everybody believes already in a beginning that was told. An end is told again, as it is without a beginning.
        let is_known = change.is_typing && recent.is_typing;
        if !may && !is_known {
            recent.late = Some(change.clone());
        }
        may
    }

    /// What was left out, may be told by now, and still holds.
    fn take_late(&mut self, now: Instant) -> Vec<Ended> {
        let conversations = &self.conversations;
        let typists = |id| conversations.get(&id).map(Vec::as_slice).unwrap_or_default();
        let mut late = Vec::new();
        for ((conversation, user, connection), recent) in &mut self.recent {
            let Some(change) = recent.late.clone() else { continue };
            let others = typists(*conversation);
            let types = others.iter().any(|other| other.is(*user, *connection));
            if types != change.is_typing || (types && recent.is_typing) {
                recent.late = None;
            } else if recent.admit(types, now) {
                let side_types = others.iter().any(|other| other.change.side == change.side);
                let person_types = others.iter().any(|other| other.change.typist.id == *user);
                late.push(Ended { change, connection: *connection, person_types, side_types });
            }
        }
        self.recent.retain(|_, recent| !recent.is_old(now));
        late
    }

    /// The same in all conversations.
    fn end_everywhere(&mut self, mut ended: impl FnMut(&mut Typist) -> bool) -> Vec<Ended> {
        let conversations: Vec<ConversationId> = self.conversations.keys().copied().collect();
        conversations.into_iter().flat_map(|conversation| self.end_in(conversation, &mut ended)).collect()
    }
}

impl TypingBoard {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock()
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
        let change = TypingChange { parties, side, typist: typist.clone(), is_typing: true };
        {
            let mut board = self.0.typing.board();
            let is_full = board.count >= TYPISTS;
            let typists = board.conversations.entry(change.parties.conversation.id).or_default();
            if let Some(known) = typists.iter_mut().find(|known| known.is(typist.id, connection)) {
                known.until = until;
            } else if is_full {
                return Ok(());
            } else {
                typists.push(Typist { change: change.clone(), connection, until });
                board.count += 1;
            }
            if !board.admit(&change, connection, now) {
                return Ok(());
            }
        }
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
            let ended = ended.pop().unwrap_or_else(|| {
                let others = board.conversations.get(&conversation).map(Vec::as_slice).unwrap_or_default();
                Ended {
                    person_types: others.iter().any(|other| other.change.typist.id == typist.id),
                    side_types: others.iter().any(|other| other.change.side == side),
                    change: TypingChange { parties, side, typist: typist.clone(), is_typing: false },
                    connection,
                }
            });
            if !ended.person_types && !board.admit(&ended.change, connection, Instant::now()) {
                return Ok(());
            }
            ended
        };
        self.tell_typing_ended(ended);
        Ok(())
    }

    /// What was typed on this connection ends with it.
    pub(in crate::desk) fn stop_typing_on(&self, connection: ConnectionId) {
        let ended = self.0.typing.board().end_everywhere(|typist| typist.connection == Some(connection));
        for ended in ended {
            self.tell_typing_ended(ended);
        }
    }

    /// Whoever has sent a message has ceased to type it: on the connection that it came from or, if it came by a request, on all
    /// of theirs.
    pub(in crate::desk) fn stop_typing_what_is_sent(&self, told: &EntryEvent) {
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

    pub(in crate::desk) async fn expire_typing(&self) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            let now = tick.tick().await;
            let (ended, late) = {
                let mut board = self.0.typing.board();
                (board.end_everywhere(|typist| typist.until <= now), board.take_late(now))
            };
            for ended in ended {
                self.tell_typing_ended(ended);
            }
            for late in late {
                if late.change.is_typing {
                    self.tell_typing(late.change, |_| true);
                } else {
                    self.tell_typing_ended(late);
                }
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
        let Ended { change, connection, person_types, side_types } = ended;
        let place = (change.parties.conversation.id, change.typist.id, connection);
        if let Some(recent) = self.0.typing.board().recent.get_mut(&place) {
            recent.is_typing = false;
        }
        if person_types {
            return;
        }
        let customer = match change.parties.conversation.members {
            Members::Support { customer } => Some(customer),
            Members::Direct { .. } => None,
        };
        self.tell_typing(change, |recipient| !(side_types && customer == Some(recipient)));
    }

    fn tell_typing(&self, change: TypingChange, concerns: impl Fn(UserId) -> bool) {
        let (typist, members) = (change.typist.id, change.parties.conversation.members);
        let event = DeskEvent::Typing(Arc::new(change));
        for recipient in self.recipients(members) {
            if recipient != typist && concerns(recipient) {
                self.0.presence.tell(recipient, &event);
            }
        }
    }
}
