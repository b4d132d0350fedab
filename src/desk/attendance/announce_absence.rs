//! Announces people who went offline while a client was disconnected.
//!
//! A page shows a person as online until it is sent that they went offline. If that happened while the page was disconnected, or
//! while the server restarted, it was never sent. So some time after each connect, the people whom the page may show are compared with
//! those who are online. The wait is the offline grace, within which people reconnect after a restart.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::announce_presence::{Announcements, online, send_in_chunks};
use crate::desk::directory::{list_for, other_than};
use crate::domain::{Person, UserId};
use crate::presence::Connection;
use crate::store::StoreError;

/// How often due connections are checked for.
const PERIOD: Duration = Duration::from_millis(250);

/// Connections that may wait. More than that connect only after a restart, and then most are customers, to whom nothing is
/// announced while an agent is online.
const WAITING: usize = 50_000;

/// The newest conversations whose people an agent's page may show: as many as a list has.
const LISTED: usize = 500;

/// Whose presence a connection shows.
#[derive(Clone, Copy)]
enum Shows {
    /// A customer's: the desk.
    Desk,
    /// An agent's: all their conversations.
    List,
    /// An agent's, for one conversation: its customer.
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
pub(super) struct Visits(Mutex<VecDeque<Visit>>);

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

impl Announcements {
    /// Sends a new connection, after the offline grace, `offline` for those people whom it may show and who are offline: to a
    /// customer, for the desk; to an agent, for the people they talk with.
    pub fn announce_absences_later(&self, viewer: &Arc<Person>, connection: &Arc<dyn Connection>) {
        self.note_visit(viewer, if viewer.role.is_agent() { Shows::List } else { Shows::Desk }, connection);
    }

    /// The same for a connection to one conversation: to an agent, only for its customer.
    pub fn announce_room_absence_later(
        &self,
        viewer: &Arc<Person>,
        customer: UserId,
        connection: &Arc<dyn Connection>,
    ) {
        let shows = if viewer.id == customer { Shows::Desk } else { Shows::Customer(customer) };
        self.note_visit(viewer, shows, connection);
    }

    fn note_visit(&self, viewer: &Arc<Person>, shows: Shows, connection: &Arc<dyn Connection>) {
        let due = Instant::now() + self.0.offline_grace;
        let connection = Arc::downgrade(connection);
        self.0.visits.add(Visit { due, viewer: viewer.clone(), shows, connection });
    }

    /// Serves the connections that wait.
    pub(super) async fn run(self) {
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            let now = tick.tick().await;
            for Visit { viewer, shows, connection, .. } in self.0.visits.take_due(now) {
                let connection = connection.upgrade().filter(|it| self.0.presence.has(viewer.id, it.id()));
                let Some(connection) = connection else { continue };
                match shows {
                    Shows::Desk if self.0.presence.is_desk_open() => {}
                    Shows::Desk => self.send_desk(&viewer, &connection, false).await,
                    Shows::Customer(customer) => {
                        log_failure(self.announce_absences(&viewer, vec![customer], &connection).await);
                    }
                    Shows::List => {
                        let announcements = self.clone();
                        self.0.tasks.spawn_until_closed(async move {
                            log_failure(announcements.announce_absent_partners(&viewer, &connection).await);
                        });
                    }
                }
            }
        }
    }

    /// Sends `offline` for the people in an agent's list of conversations who are offline.
    async fn announce_absent_partners(
        &self,
        viewer: &Arc<Person>,
        connection: &Arc<dyn Connection>,
    ) -> Result<(), StoreError> {
        let summaries = self.0.store.list(list_for(viewer), LISTED).await?;
        let partner = |members| other_than(viewer.id, members);
        let partners = summaries.iter().filter_map(|summary| partner(summary.conversation.members)).collect();
        self.announce_absences(viewer, partners, connection).await
    }

    /// Sends `offline` for those of these people who are offline.
    async fn announce_absences(
        &self,
        viewer: &Arc<Person>,
        mut people: Vec<UserId>,
        connection: &Arc<dyn Connection>,
    ) -> Result<(), StoreError> {
        people.retain(|person| *person != viewer.id && !self.0.presence.is_online(*person));
        self.0.directory.look_up(people.iter().copied()).await?;
        let mut events = Vec::with_capacity(people.len());
        for id in people {
            if let Some(person) = self.0.directory.person(id).await?
                && !self.0.presence.is_online(id)
            {
                events.push(online(id, person.number, false));
            }
        }
        send_in_chunks(viewer, connection, &events).await;
        Ok(())
    }
}

fn log_failure(result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "Could not announce absent people to an agent");
    }
}
