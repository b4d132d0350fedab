//! Presence: the connected-users map, user id → set of connections.
//!
//! A person is online while they have a connection, and for a grace period after the last one drops, so that a reload or
//! a second tab is not "offline". Every face implements [`Connection`] and encodes in [`Connection::send`].
//!
//! The [`Stream`] of a connection tracks what it was sent of the log and has not confirmed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::domain::{ConnectionId, ConversationId, DeskEvent, EntryEvent, Members, Person, Place, Seq, UserId};

mod arrivals;
mod gate;
mod guests;
mod in_flight;
mod lost;
mod outgoing;
mod stream;
#[cfg(test)]
pub(crate) mod testing;

pub use arrivals::{Ending, Left};
pub use gate::Next;
use lost::LostStreams;
pub use outgoing::{Frames, Outgoing};
use stream::Listed;
pub use stream::{Begins, Span, Stream};

/// How long after something was sent an unconfirmed client is pinged.
const PING_AFTER: Duration = Duration::from_millis(500);

/// Result of sending an event on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    /// It is on its way to the client.
    Sent,
    /// The connection did not take it: its dialect has no word for it, or it is catching up and will read the log.
    NotTaken,
    /// There is no room for a replayed entry at present; a live one would have closed the connection.
    Full,
    /// The connection is closed, or was closed just now because its client reads too slowly.
    Closed,
}

/// Why the rights of a live connection were revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// The token has expired.
    TokenExpired,
    /// The account was blocked.
    Blocked,
    /// The account was deleted.
    Deleted,
    /// The account has another role now; authenticating again grants the new one.
    RoleChanged,
    /// The token was revoked: its session was ended, or all of the account's were.
    SessionEnded,
}

/// How a client is recognized when it reconnects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognized {
    /// By its person alone.
    ByPerson,
    /// By its person and the one conversation that its connection is for.
    ByRoom(ConversationId),
    /// By the page that it names; see [`recover`](crate::desk::delivery).
    ByPage(String),
}

impl Recognized {
    /// Whether the client fetches what it lost with a connection. A page that reconnects fetches nothing: if its person does, on
    /// another page.
    const fn fetches_what_it_lost(&self) -> bool {
        !matches!(self, Self::ByPage(_))
    }

    /// Whether clients that are recognized by these may be the same one. A page that is reloaded has another id, so the ids of pages
    /// are not compared.
    fn may_be(&self, other: &Self) -> bool {
        self.room() == other.room()
    }

    /// The only conversation that the connection is for.
    const fn room(&self) -> Option<ConversationId> {
        match self {
            Self::ByRoom(conversation) => Some(*conversation),
            Self::ByPerson | Self::ByPage(_) => None,
        }
    }
}

/// One live socket of one person, over any face.
pub trait Connection: Send + Sync + 'static {
    /// Its id.
    fn id(&self) -> ConnectionId;
    /// Sends an event to the client. Never waits: a client that reads too slowly is disconnected.
    fn send(&self, outgoing: &Outgoing<'_>) -> SendOutcome;
    /// Informs the client that its rights were revoked, and treats it as unauthenticated from now on.
    fn revoke(&self, reason: Revoked);
    /// Sends `authenticated` again, for a client that may have missed it.
    fn resend_authenticated(&self);
    /// Whether its client has asked for receipts.
    fn wants_receipts(&self) -> bool {
        false
    }
    /// Everything that was sent before this instant has arrived.
    fn arrived(&self) -> Instant;
    /// How its client is recognized when it reconnects.
    fn recognized(&self) -> Recognized {
        Recognized::ByPerson
    }
    /// Everything that its client had missed has been sent. A page is at this place from now on.
    fn caught_up(&self, _place: Place) {}
    /// Closes it because its page has reconnected. `has_named_place`: the page has named the last message that it received, so it
    /// misses nothing.
    fn retire(&self, _has_named_place: bool) {}
    /// Whether it is the first connection of a page, which fetches the history by itself.
    fn is_new_page(&self) -> bool {
        false
    }
    /// Whether its client ignores duplicates, so that a message may be sent to it again.
    fn ignores_duplicates(&self) -> bool {
        false
    }
    /// Pings its client; the answer confirms what was sent. Not every dialect can.
    fn ping(&self) {}
    /// The same, and closes it unless there is an answer soon: its person has a newer connection.
    fn ping_or_close(&self) {}
    /// Announces that the server is about to stop, and after how long to reconnect. Not every dialect can.
    fn announce_stop(&self, reconnect_after: Duration);
    /// Closes it because the server stops, once everything that was sent has been written.
    fn close_gracefully(&self);
}

type Connections = Vec<Arc<dyn Connection>>;
type Streams = Vec<Arc<Stream>>;

/// A person who is online, or within the grace period.
struct OnlineUser {
    person: Arc<Person>,
    streams: Streams,
    /// Counts joins and leaves, so that an outdated grace timer is ignored.
    turn: u64,
}

/// The connected-users map of this process.
#[derive(Default)]
pub struct Presence {
    state: Mutex<State>,
    listed: Arc<Listed>,
}

#[derive(Default)]
struct State {
    /// Connections to one conversation that belong to nobody.
    guests: guests::Guests,
    lost: LostStreams,
    people: HashMap<UserId, OnlineUser>,
    /// The agents among them: few, and recipients of nearly everything.
    agents: BTreeSet<UserId>,
}

/// What joining changed.
pub struct Joined {
    /// The stream of the connection.
    pub stream: Arc<Stream>,
    /// Connections that its client may have had before this one.
    pub older: Vec<Older>,
    /// The other connections of the person, if this one is new or the person has changed.
    pub others: Vec<Arc<dyn Connection>>,
    /// The person was offline until now.
    pub came_online: bool,
    /// They are the first agent: the desk was empty until now.
    pub desk_opened: bool,
    /// The person had another role until now.
    pub has_changed: bool,
}

/// A connection that the same client may have had before.
pub struct Older {
    stream: Arc<Stream>,
    /// What was in flight on it when the newer one joined.
    in_flight: Vec<Span>,
}

impl Older {
    /// The connection itself.
    #[must_use]
    pub fn connection(&self) -> &Arc<dyn Connection> {
        self.stream.connection()
    }

    /// Removes and returns what has arrived on it.
    #[must_use]
    pub fn take_arrived(&self) -> Vec<(ConversationId, Seq)> {
        self.stream.take_arrived(self.connection().arrived())
    }

    /// Whether its client has received what was in flight, or it has ended, so that this is known to be lost.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.stream.is_settled(&self.in_flight)
    }

    /// Treats it as lost although it has not ended, if the newer one may belong to the same client.
    pub fn give_up(&self, newer: &Stream) {
        if newer.connection().recognized() == self.connection().recognized() {
            newer.begin_with(&self.stream.spans());
        }
    }
}

/// The last connection of a person has closed; they go offline unless they reconnect in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    user: UserId,
    turn: u64,
}

/// Somebody who has gone offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departed {
    /// Who is offline now.
    pub person: Arc<Person>,
    /// They were the last agent: the desk is empty now.
    pub desk_closed: bool,
}

impl Presence {
    /// Adds a connection to a person. One that they have already stays as it is.
    pub fn join(&self, person: Arc<Person>, connection: Arc<dyn Connection>, begins: Begins) -> Joined {
        let State { people, agents, lost, .. } = &mut *self.state();
        let desk_was_empty = agents.is_empty();
        if person.role.is_agent() {
            agents.insert(person.id);
        } else {
            agents.remove(&person.id);
        }
        let mut came_online = false;
        let online = people.entry(person.id).or_insert_with(|| {
            came_online = true;
            OnlineUser { person: person.clone(), streams: Vec::with_capacity(1), turn: 0 }
        });
        online.turn += 1;
        let has_changed = online.person.role != person.role;
        let known = online.streams.iter().find(|stream| stream.id() == connection.id()).cloned();
        let others = online.streams.iter().filter(|other| other.id() != connection.id());
        let others =
            others.filter(|_| has_changed || known.is_none()).map(|other| other.connection().clone()).collect();
        let (stream, older) = if let Some(stream) = known {
            (stream, Vec::new())
        } else {
            let by = connection.recognized();
            let lost = if begins == Begins::LiveAlone { Vec::new() } else { lost.take(person.id, &by) };
            let older = online.streams.iter().filter(|older| by.may_be(&older.connection().recognized()));
            let older: Vec<Older> =
                older.map(|older| Older { in_flight: older.spans(), stream: older.clone() }).collect();
            let has_unsettled = older.iter().any(|older| !older.in_flight.is_empty());
            let stream = Stream::new(person.id, connection, self.listed.clone(), begins, lost, has_unsettled);
            let stream = Arc::new(stream);
            online.streams.push(stream.clone());
            (stream, older)
        };
        online.person = person;
        let desk_opened = desk_was_empty && !agents.is_empty();
        Joined { stream, older, others, came_online, desk_opened, has_changed }
    }

    /// To be called when the grace period is over. `None` if they have reconnected meanwhile.
    pub fn depart(&self, leaving: Leaving) -> Option<Departed> {
        let State { people, agents, .. } = &mut *self.state();
        if people.get(&leaving.user)?.turn != leaving.turn {
            return None;
        }
        let gone = people.remove(&leaving.user)?;
        let was_agent = agents.remove(&gone.person.id);
        Some(Departed { person: gone.person, desk_closed: was_agent && agents.is_empty() })
    }

    /// Everybody who may see a conversation and might be connected: for one with the desk, its customer last.
    pub fn recipients(&self, members: Members) -> Vec<UserId> {
        match members {
            Members::Support { customer } => {
                let mut recipients = self.agents();
                recipients.retain(|agent| *agent != customer);
                recipients.push(customer);
                recipients
            }
            Members::Direct { first, second } if first == second => vec![first],
            Members::Direct { first, second } => vec![first, second],
        }
    }

    /// Whether any agent counts as online.
    pub fn is_desk_open(&self) -> bool {
        !self.state().agents.is_empty()
    }

    /// The agents who count as online.
    pub fn agents(&self) -> Vec<UserId> {
        self.state().agents.iter().copied().collect()
    }

    /// Everybody who counts as online.
    pub fn everybody(&self) -> Vec<Arc<Person>> {
        self.state().people.values().map(|online| online.person.clone()).collect()
    }

    /// Somebody who counts as online.
    pub fn person(&self, user: UserId) -> Option<Arc<Person>> {
        self.state().people.get(&user).map(|online| online.person.clone())
    }

    /// Whether a person counts as online.
    pub fn is_online(&self, user: UserId) -> bool {
        self.state().people.contains_key(&user)
    }

    /// Whether a person has a connection at this moment.
    pub fn is_connected(&self, user: UserId) -> bool {
        self.state().people.get(&user).is_some_and(|online| !online.streams.is_empty())
    }

    /// All connections of a person.
    pub fn connections(&self, user: UserId) -> Vec<Arc<dyn Connection>> {
        self.streams(user).iter().map(|stream| stream.connection().clone()).collect()
    }

    /// Whether a connection is this person's.
    pub fn has(&self, user: UserId, connection: ConnectionId) -> bool {
        let state = self.state();
        state.people.get(&user).is_some_and(|online| online.streams.iter().any(|it| it.id() == connection))
    }

    /// All connections, including those of guests.
    pub fn all_connections(&self) -> Connections {
        let state = self.state();
        let streams = state.people.values().flat_map(|online| &online.streams);
        streams.map(|stream| stream.connection()).chain(state.guests.connections()).cloned().collect()
    }

    /// Sends an event on all connections of a person; returns the best outcome of these.
    pub fn send(&self, user: UserId, event: &DeskEvent) -> SendOutcome {
        self.send_on(user, event, |_| true)
    }

    /// The same for an entry that was not published when it was stored, which was at `stored` at the latest. The person has it, from
    /// the log or from another process, so connections that joined later are left out, except the one that it came from.
    pub fn send_late(&self, user: UserId, event: &Arc<EntryEvent>, stored: Instant) -> SendOutcome {
        let takes = |stream: &Stream| stream.joined() <= stored || event.origin == Some(stream.id());
        self.send_on(user, &DeskEvent::Entry(event.clone()), takes)
    }

    fn send_on(&self, user: UserId, event: &DeskEvent, takes: impl Fn(&Stream) -> bool) -> SendOutcome {
        let frames = Frames::default();
        // The map is not locked while connections encode and send.
        let (person, streams) = {
            let state = self.state();
            if let DeskEvent::Entry(event) = event {
                state.lost.note(user, event, &takes);
            }
            let Some(online) = state.people.get(&user) else { return SendOutcome::Closed };
            (online.person.clone(), online.streams.clone())
        };
        let outgoing = Outgoing { event, viewer: &person, is_replay: false, frames: &frames };
        let mut best = SendOutcome::Closed;
        for stream in streams.into_iter().filter(|stream| takes(stream)) {
            match stream.send(&outgoing) {
                SendOutcome::Sent => best = SendOutcome::Sent,
                SendOutcome::NotTaken if best == SendOutcome::Closed => best = SendOutcome::NotTaken,
                SendOutcome::NotTaken | SendOutcome::Full | SendOutcome::Closed => {}
            }
        }
        best
    }

    fn streams(&self, user: UserId) -> Streams {
        self.state().people.get(&user).map(|online| online.streams.clone()).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_streams;
