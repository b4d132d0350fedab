//! Typing notices. They are not entries: they are sent to open connections only.
//!
//! A notice ends when the client says so, when it sends a message, or when its connection closes. Existing frontends announce the
//! start only once, however long somebody types, so the timeout is only for clients that never announce the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::desk::directory::Directory;
use crate::desk::tasks::Tasks;
use crate::domain::{
    Clock, ConnectionId, ConversationId, DeskEvent, EntryEvent, Members, Parties, Person, Side, TypingChange, UserId,
};
use crate::presence::Presence;
use crate::store::StoreError;

/// How often notices are checked for expiry.
const PERIOD: Duration = Duration::from_millis(250);

/// For one person in one conversation, at most one start and one end are published in this time.
const QUIET: Duration = Duration::from_secs(1);

/// The most connections that may type at once in this process; further ones are ignored.
const TYPISTS: usize = 50_000;

/// Typing notices. Clones share one state.
#[derive(Clone)]
pub struct Typing(Arc<Inner>);

struct Inner {
    presence: Arc<Presence>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    ttl: Duration,
    board: Mutex<Board>,
}

/// Who types where, by connection: one person may type in two tabs.
#[derive(Default)]
struct Board {
    conversations: HashMap<ConversationId, Vec<Typist>>,
    count: usize,
    /// What was published recently.
    recent: HashMap<TypistKey, Recent>,
}

/// One person's connection in one conversation.
type TypistKey = (ConversationId, UserId, Option<ConnectionId>);

/// What was published of one [`TypistKey`].
#[derive(Default)]
struct Recent {
    began_at: Option<Instant>,
    ended_at: Option<Instant>,
    /// What was published last.
    is_typing: bool,
    /// The newest change that was held back. It is published later, if it is still true.
    late: Option<TypingChange>,
}

impl Recent {
    fn published_at(&mut self, is_typing: bool) -> &mut Option<Instant> {
        if is_typing { &mut self.began_at } else { &mut self.ended_at }
    }

    /// Whether this may be published now. If so, it counts as published.
    fn admit(&mut self, is_typing: bool, now: Instant) -> bool {
        let published_at = self.published_at(is_typing);
        if published_at.is_some_and(|at| now - at < QUIET) {
            return false;
        }
        *published_at = Some(now);
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

/// Typing that has ended, and who else is still typing.
struct Ended {
    change: TypingChange,
    connection: Option<ConnectionId>,
    /// The same person is still typing there, on another connection.
    person_types: bool,
    /// Somebody on the same side is still typing there.
    side_types: bool,
}

impl Board {
    /// Removes and returns the typists of a conversation whose typing has ended.
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

    /// Whether a change may be published now. If not, it is remembered for later.
    fn admit(&mut self, change: &TypingChange, connection: Option<ConnectionId>, now: Instant) -> bool {
        let key = (change.parties.conversation.id, change.typist.id, connection);
        if !self.recent.contains_key(&key) && self.recent.len() >= TYPISTS {
            return false;
        }
        let recent = self.recent.entry(key).or_default();
        let may = recent.admit(change.is_typing, now);
        // A start that was published need not be repeated. An end is, as the replaced server did even without a start.
        let is_known = change.is_typing && recent.is_typing;
        if !may && !is_known {
            recent.late = Some(change.clone());
        }
        may
    }

    /// Removes and returns changes that were held back, may be published by now, and are still true.
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

impl Typing {
    /// Starts the task that expires notices. `ttl`: how long one lasts if its client never announces the end.
    pub(in crate::desk) fn start_expiry(
        presence: Arc<Presence>,
        directory: Arc<Directory>,
        clock: Arc<dyn Clock>,
        ttl: Duration,
        tasks: &Tasks,
    ) -> Self {
        let typing = Self(Arc::new(Inner { presence, directory, clock, ttl, board: Mutex::default() }));
        let this = typing.clone();
        tasks.keep_running("expiry of typing notices", move || this.clone().expire());
        typing
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.board.lock()
    }

    /// `typist` starts typing to a person, or continues. Between two customers, ignored unless they have a conversation already.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    #[tracing::instrument(level = "debug", name = "desk.start_typing", skip_all, fields(
        user.id = %typist.id, to = %to, connection.id = connection.map(tracing::field::display)
    ))]
    pub async fn start(
        &self,
        typist: &Arc<Person>,
        to: UserId,
        connection: Option<ConnectionId>,
    ) -> Result<(), StoreError> {
        let Some((parties, side)) = self.typing_place(typist, to).await? else { return Ok(()) };
        let now = Instant::now();
        let until = now + self.0.ttl;
        let change = TypingChange { parties, side, typist: typist.clone(), is_typing: true };
        {
            let mut board = self.board();
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
        self.send_typing(change, |_| true);
        Ok(())
    }

    /// `typist` stops typing to a person on a connection. Published even without a start, as the replaced server did, but not while
    /// they type on another connection.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    #[tracing::instrument(level = "debug", name = "desk.stop_typing", skip_all, fields(
        user.id = %typist.id, to = %to, connection.id = connection.map(tracing::field::display)
    ))]
    pub async fn stop(
        &self,
        typist: &Arc<Person>,
        to: UserId,
        connection: Option<ConnectionId>,
    ) -> Result<(), StoreError> {
        let Some((parties, side)) = self.typing_place(typist, to).await? else { return Ok(()) };
        let ended = {
            let mut board = self.board();
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
        self.send_typing_ended(ended);
        Ok(())
    }

    /// Ends all notices of a connection.
    pub(super) fn stop_on(&self, connection: ConnectionId) {
        let ended = self.board().end_everywhere(|typist| typist.connection == Some(connection));
        for ended in ended {
            self.send_typing_ended(ended);
        }
    }

    /// Sending a message ends the typing on its connection or, if it came by a request, on all connections of its author.
    pub(in crate::desk) fn stop_for_message(&self, event: &EntryEvent) {
        let (author, conversation) = (event.author.id, event.entry.conversation);
        let ended = {
            let mut board = self.board();
            board.end_in(conversation, |typist| {
                typist.change.typist.id == author && (event.origin.is_none() || typist.connection == event.origin)
            })
        };
        for ended in ended {
            self.send_typing_ended(ended);
        }
    }

    async fn expire(self) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            let now = tick.tick().await;
            let (ended, late) = {
                let mut board = self.board();
                (board.end_everywhere(|typist| typist.until <= now), board.take_late(now))
            };
            for ended in ended {
                self.send_typing_ended(ended);
            }
            for late in late {
                if late.change.is_typing {
                    self.send_typing(late.change, |_| true);
                } else {
                    self.send_typing_ended(late);
                }
            }
        }
    }

    /// The conversation in which somebody types. It is opened if it is with the desk; two customers must have one already, else
    /// one could find out by typing whether the other exists.
    async fn typing_place(&self, typist: &Person, to: UserId) -> Result<Option<(Parties, Side)>, StoreError> {
        let Some(members) = self.0.directory.members_with(typist, to).await? else { return Ok(None) };
        let conversation = match members {
            Members::Support { .. } => self.0.directory.open(members, self.0.clock.now()).await?,
            Members::Direct { .. } => match self.0.directory.find(members).await? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let Some(side) = members.side_of_person(typist) else { return Ok(None) };
        Ok(Some((self.0.directory.parties(conversation).await?, side)))
    }

    /// To a customer, the desk is one person, who is typing for as long as any agent is.
    fn send_typing_ended(&self, ended: Ended) {
        let Ended { change, connection, person_types, side_types } = ended;
        let key = (change.parties.conversation.id, change.typist.id, connection);
        if let Some(recent) = self.board().recent.get_mut(&key) {
            recent.is_typing = false;
        }
        if person_types {
            return;
        }
        let customer = change.parties.conversation.members.customer();
        self.send_typing(change, |recipient| !(side_types && customer == Some(recipient)));
    }

    fn send_typing(&self, change: TypingChange, concerns: impl Fn(UserId) -> bool) {
        let (typist, members) = (change.typist.id, change.parties.conversation.members);
        let event = DeskEvent::Typing(Arc::new(change));
        for recipient in self.0.presence.recipients(members) {
            if recipient != typist && concerns(recipient) {
                self.0.presence.send(recipient, &event);
            }
        }
    }
}
