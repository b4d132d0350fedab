//! Announces who went away while a client was disconnected.
//!
//! A page keeps showing as online whom it last heard to be. If they left while the page was cut off, or while the server was
//! restarted, no `offline` ever reached it. So some time after each connect, the people it may show are compared with those who
//! are there. The wait is the offline grace, within which whoever is reconnecting comes back.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::announce_presence::{online, tell_slowly};
use crate::desk::Desk;
use crate::desk::conversations::{list_for, other_than};
use crate::domain::{Person, UserId};
use crate::presence::Connection;
use crate::store::StoreError;

/// How often it is looked whose turn has come.
const PERIOD: Duration = Duration::from_millis(250);

/// Connections that may wait for their turn. More than that connect only after a restart, and then most are customers, who have
/// nothing to hear while an agent is there.
const WAITING: usize = 50_000;

/// The newest conversations whose people an agent may show: as many as a list has.
const LISTED: usize = 500;

/// What a connection shows.
#[derive(Clone, Copy)]
enum Shows {
    /// A customer's: the desk.
    Desk,
    /// An agent's: all their conversations.
    List,
    /// An agent's: the customer of one room.
    Customer(UserId),
}

struct Visit {
    due: Instant,
    viewer: Arc<Person>,
    shows: Shows,
    connection: Weak<dyn Connection>,
}

/// New connections, oldest first.
#[derive(Default)]
pub(in crate::desk) struct Visits(Mutex<VecDeque<Visit>>);

impl Visits {
    fn add(&self, visit: Visit) {
        let mut waiting = self.0.lock();
        if waiting.len() < WAITING {
            waiting.push_back(visit);
        }
    }

    fn take_due(&self, now: Instant) -> Vec<Visit> {
        let mut waiting = self.0.lock();
        let due = waiting.partition_point(|visit| visit.due <= now);
        let taken = waiting.drain(..due).collect();
        if waiting.is_empty() {
            *waiting = VecDeque::new();
        }
        taken
    }
}

impl Desk {
    /// Tells a new connection, after the offline grace, who of the people it may show is away: a customer's, whether the desk is;
    /// an agent's, who of those they talk with.
    pub fn tell_who_is_away_later(&self, viewer: &Arc<Person>, connection: &Arc<dyn Connection>) {
        self.note_visit(viewer, if viewer.role.is_agent() { Shows::List } else { Shows::Desk }, connection);
    }

    /// The same for a connection to one room: of an agent, whether its customer is away.
    pub fn tell_who_is_away_in_room_later(
        &self,
        viewer: &Arc<Person>,
        customer: UserId,
        connection: &Arc<dyn Connection>,
    ) {
        let shows = if viewer.id == customer { Shows::Desk } else { Shows::Customer(customer) };
        self.note_visit(viewer, shows, connection);
    }

    fn note_visit(&self, viewer: &Arc<Person>, shows: Shows, connection: &Arc<dyn Connection>) {
        let due = Instant::now() + self.0.settings.offline_grace;
        let connection = Arc::downgrade(connection);
        self.0.visits.add(Visit { due, viewer: viewer.clone(), shows, connection });
    }

    /// Looks after those who wait, until the desk is closed.
    pub(in crate::desk) async fn tell_who_is_away(&self) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            let now = tick.tick().await;
            for Visit { viewer, shows, connection, .. } in self.0.visits.take_due(now) {
                let connection = connection.upgrade().filter(|it| self.0.presence.has(viewer.id, it.id()));
                let Some(connection) = connection else { continue };
                match shows {
                    Shows::Desk if self.0.presence.is_desk_open() => {}
                    Shows::Desk => self.tell_desk(&viewer, &connection, false).await,
                    Shows::Customer(customer) => self.tell_away(&viewer, &connection, vec![customer]).await,
                    Shows::List => {
                        let desk = self.clone();
                        self.run(async move {
                            match desk.partners_of(&viewer).await {
                                Ok(partners) => desk.tell_away(&viewer, &connection, partners).await,
                                Err(error) => tracing::warn!(%error, "Could not announce absent people to an agent"),
                            }
                        });
                    }
                }
            }
        }
    }

    /// The people that a list of conversations shows.
    async fn partners_of(&self, viewer: &Person) -> Result<Vec<UserId>, StoreError> {
        let summaries = self.0.stores.conversations.list(list_for(viewer), LISTED).await?;
        Ok(summaries.iter().filter_map(|summary| other_than(viewer.id, summary.conversation.members)).collect())
    }

    async fn tell_away(&self, viewer: &Arc<Person>, connection: &Arc<dyn Connection>, mut people: Vec<UserId>) {
        people.retain(|person| *person != viewer.id && !self.0.presence.is_online(*person));
        if let Err(error) = self.0.directory.look_up(people.iter().copied()).await {
            return tracing::warn!(%error, "Could not announce absent people to an agent");
        }
        let mut events = Vec::with_capacity(people.len());
        for id in people {
            match self.0.directory.person(id).await {
                Ok(Some(person)) if !self.0.presence.is_online(id) => events.push(online(id, person.number, false)),
                Ok(_) => {}
                Err(error) => return tracing::warn!(%error, "Could not announce absent people to an agent"),
            }
        }
        tell_slowly(viewer, connection, &events).await;
    }
}
