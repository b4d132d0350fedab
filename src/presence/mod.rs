//! Who is there: the connected-users map, user id → set of connections.
//!
//! A person is online while they have a connection, and for a grace period after the last one drops, so that a reload or
//! a second tab is not "offline". Every face implements [`Connection`] and encodes in [`Connection::send`].

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{ConnectionId, ConversationId, DeskEvent, Person, Seq, UserId};

mod delivery;
mod feed;
mod guests;
#[cfg(test)]
pub(crate) mod testing;
mod unconfirmed;

pub use delivery::{Delivery, Frames};
pub use feed::{Feed, Next};
pub use unconfirmed::{ON_THE_WAY, ROUND_TRIP, Sent};

/// What became of an event that a connection was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is on its way to the client.
    Sent,
    /// The connection did not take it: its dialect has no word for it, or it is catching up and will read the log.
    NotTaken,
    /// There is no room for a replayed entry at present; a live one would have closed the connection.
    Full,
    /// The connection is closed, or was closed just now because its client reads too slowly.
    Closed,
}

/// Why somebody lost the rights of a live connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// The token's time is over.
    TokenExpired,
    /// The account was blocked.
    Blocked,
    /// The account was deleted.
    Deleted,
    /// The account has another role now; authenticating again gives the new one.
    RoleChanged,
    /// The token does not count any more: its session was ended, or all of the account's were.
    SessionEnded,
}

/// An entry that was sent on a connection since its client last gave a sign of life: the first of its conversation.
pub type Unconfirmed = (ConversationId, Seq);

/// One live socket of one person, over any face.
pub trait Connection: Send + Sync + 'static {
    /// Names it.
    fn id(&self) -> ConnectionId;
    /// Passes an event on to the client. Never waits: a client that does not keep up is cut off.
    fn send(&self, delivery: &Delivery<'_>) -> Outcome;
    /// Tells the client that it has lost its rights, and treats it as unknown from now on.
    fn revoke(&self, reason: Revoked);
    /// Tells the client once more that it is authenticated: it may have lost track of it.
    fn reassure(&self);
    /// Where the log's entries wait while the connection catches up.
    fn feed(&self) -> &Feed;
    /// Whether its client wants to be told how far messages have come.
    fn wants_receipts(&self) -> bool {
        false
    }
    /// Whether it is open, and this person's.
    fn is_of(&self, user: UserId) -> bool;
    /// What was sent on it and may not have arrived.
    fn unconfirmed(&self) -> Vec<Unconfirmed>;
    /// All that was sent on it of this conversation up to here has arrived, or come to the person in another way.
    fn confirm(&self, conversation: ConversationId, up_to: Seq);
    /// Whether it belongs to the page with this id, which outlives its connections; see [`recover`](crate::desk::recover).
    fn is_page(&self, _: &str) -> bool {
        false
    }
    /// Closes it because its page has come back on another connection. `has_named_place`: the page has said what it got on this
    /// one, so that nothing of it is in doubt.
    fn retire(&self, _has_named_place: bool) {}
    /// Whether its client drops a message that it has already, so that one may be sent to it again.
    fn drops_what_it_has(&self) -> bool {
        false
    }
    /// If it is for this conversation alone, asks its client for a sign of life, and closes it unless there is one soon: its
    /// person has come back on another connection.
    fn ask_for_life(&self, _: ConversationId) {}
    /// Tells the client that the server is about to stop, and after how long to come back; not every dialect has a word for
    /// it.
    fn announce_stop(&self, come_back: Duration);
    /// Ends it because the server stops, once all that was sent has gone out.
    fn dismiss(&self);
}

type Connections = Vec<Arc<dyn Connection>>;

/// Somebody who is, or just was, there.
struct Attendance {
    person: Arc<Person>,
    connections: Connections,
    /// Counts arrivals and departures, so that a late timer knows it is late.
    turn: u64,
}

/// The connected-users map of this process.
#[derive(Default)]
pub struct Presence {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Connections that follow one conversation and are nobody's.
    guests: guests::Guests,
    people: HashMap<UserId, Attendance>,
    /// Those of them who answer: few, and told of nearly everything.
    agents: BTreeSet<UserId>,
}

/// What an arrival changed.
pub struct Joined {
    /// They were offline until now.
    pub came_online: bool,
    /// They are the first agent: the desk was empty until now.
    pub desk_opened: bool,
    /// Connections that were made while the person had another role.
    pub outdated: Vec<Arc<dyn Connection>>,
}

/// The last connection of a person is gone; they are offline unless they come back in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    user: UserId,
    turn: u64,
}

/// What a departure changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departed {
    /// Who is offline now.
    pub person: Arc<Person>,
    /// They were the last agent: the desk is empty now.
    pub desk_closed: bool,
}

impl Presence {
    /// Adds a connection to a person.
    pub fn join(&self, person: Arc<Person>, connection: Arc<dyn Connection>) -> Joined {
        let State { people, agents, .. } = &mut *self.state();
        let desk_was_empty = agents.is_empty();
        if person.role.is_agent() {
            agents.insert(person.id);
        } else {
            agents.remove(&person.id);
        }
        let mut came_online = false;
        let attendance = people.entry(person.id).or_insert_with(|| {
            came_online = true;
            Attendance { person: person.clone(), connections: Vec::with_capacity(1), turn: 0 }
        });
        attendance.turn += 1;
        attendance.connections.retain(|known| known.id() != connection.id());
        let has_changed = attendance.person.role != person.role;
        let outdated = if has_changed { attendance.connections.clone() } else { Vec::new() };
        attendance.connections.push(connection);
        attendance.person = person;
        Joined { came_online, desk_opened: desk_was_empty && !agents.is_empty(), outdated }
    }

    /// Takes a connection from a person; gives something for [`depart`](Self::depart) if it was their last one.
    pub fn leave(&self, user: UserId, connection: ConnectionId) -> Option<Leaving> {
        let mut state = self.state();
        let attendance = state.people.get_mut(&user)?;
        let before = attendance.connections.len();
        attendance.connections.retain(|known| known.id() != connection);
        if attendance.connections.len() == before || !attendance.connections.is_empty() {
            return None;
        }
        attendance.turn += 1;
        Some(Leaving { user, turn: attendance.turn })
    }

    /// To be called when the grace period is over: `None` if they came back meanwhile.
    pub fn depart(&self, leaving: Leaving) -> Option<Departed> {
        let State { people, agents, .. } = &mut *self.state();
        if people.get(&leaving.user)?.turn != leaving.turn {
            return None;
        }
        let gone = people.remove(&leaving.user)?;
        let was_agent = agents.remove(&gone.person.id);
        Some(Departed { person: gone.person, desk_closed: was_agent && agents.is_empty() })
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
        self.state().people.values().map(|attendance| attendance.person.clone()).collect()
    }

    /// Somebody who counts as online.
    pub fn person(&self, user: UserId) -> Option<Arc<Person>> {
        self.state().people.get(&user).map(|attendance| attendance.person.clone())
    }

    /// Whether a person counts as online.
    pub fn is_online(&self, user: UserId) -> bool {
        self.state().people.contains_key(&user)
    }

    /// Whether a person has a connection at this moment.
    pub fn is_connected(&self, user: UserId) -> bool {
        self.state().people.get(&user).is_some_and(|attendance| !attendance.connections.is_empty())
    }

    /// All connections of a person.
    pub fn connections(&self, user: UserId) -> Vec<Arc<dyn Connection>> {
        self.attendance(user).map(|(_, connections)| connections).unwrap_or_default()
    }

    /// All connections of everybody, and those that are nobody's.
    pub fn all_connections(&self) -> Connections {
        let state = self.state();
        let of_people = state.people.values().flat_map(|attendance| &attendance.connections);
        of_people.chain(state.guests.connections()).cloned().collect()
    }

    /// Tells a person, on all their connections; gives the best outcome of these.
    pub fn tell(&self, user: UserId, event: &DeskEvent) -> Outcome {
        // The map is not locked while connections encode and send.
        let Some((person, connections)) = self.attendance(user) else { return Outcome::Closed };
        let frames = Frames::default();
        let delivery = Delivery { event, viewer: &person, is_replay: false, frames: &frames };
        let mut best = Outcome::Closed;
        for connection in connections {
            let outcome = if is_held(&*connection, &delivery) { Outcome::NotTaken } else { connection.send(&delivery) };
            match outcome {
                Outcome::Sent => best = Outcome::Sent,
                Outcome::NotTaken if best == Outcome::Closed => best = Outcome::NotTaken,
                Outcome::NotTaken | Outcome::Full | Outcome::Closed => {}
            }
        }
        best
    }

    fn attendance(&self, user: UserId) -> Option<(Arc<Person>, Connections)> {
        let state = self.state();
        let attendance = state.people.get(&user)?;
        Some((attendance.person.clone(), attendance.connections.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connection that is catching up has to read this entry from the log instead.
fn is_held(connection: &dyn Connection, delivery: &Delivery<'_>) -> bool {
    match delivery.event {
        DeskEvent::Entry(told) => !connection.feed().admits(told, told.author.id == delivery.viewer.id),
        DeskEvent::Typing(_) | DeskEvent::Presence(_) | DeskEvent::Status(_) => false,
    }
}

#[cfg(test)]
mod tests;
