//! Announces presence: of everybody to agents, and of the desk, under its one identity, to customers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::announce_absence::Visits;
use crate::desk::directory::Directory;
use crate::desk::tasks::Tasks;
use crate::domain::{DeskEvent, DeskId, DeskIdentity, Person, PresenceChange, UserId};
use crate::limits::{Limiter, Rate};
use crate::presence::{Connection, Departed, Frames, Joined, Outgoing, Presence};
use crate::store::ConversationStore;

/// People to whom a snapshot will be sent soon.
#[derive(Default)]
struct PendingSnapshots(Mutex<HashSet<UserId>>);

impl PendingSnapshots {
    /// False if they are waiting already.
    fn add(&self, user: UserId) -> bool {
        self.0.lock().insert(user)
    }

    fn remove(&self, user: UserId) {
        self.0.lock().remove(&user);
    }
}

/// The most people in a snapshot.
const SNAPSHOT: usize = 1000;

/// How many of them are sent at once.
const CHUNK: usize = 64;

/// The pause between chunks, in which the connection can write.
const PAUSE: Duration = Duration::from_millis(5);

/// Announces presence. Clones share one state.
#[derive(Clone)]
pub struct Announcements(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Arc<dyn ConversationStore>,
    pub(super) directory: Arc<Directory>,
    pub(super) presence: Arc<Presence>,
    pub(super) tasks: Tasks,
    pub(super) offline_grace: Duration,
    /// New connections, to which absences are announced later.
    pub(super) visits: Visits,
    /// Rate limit for presence announcements on a repeated `authenticate`.
    arrival_rate: Limiter<UserId>,
    pending: PendingSnapshots,
}

impl Announcements {
    /// Starts the task that announces absences.
    pub(in crate::desk) fn start(
        store: Arc<dyn ConversationStore>,
        directory: Arc<Directory>,
        presence: Arc<Presence>,
        tasks: &Tasks,
        offline_grace: Duration,
    ) -> Self {
        let announcements = Self(Arc::new(Inner {
            store,
            directory,
            presence,
            tasks: tasks.clone(),
            offline_grace,
            visits: Visits::default(),
            arrival_rate: Limiter::new(Rate::per_second(1, 10)),
            pending: PendingSnapshots::default(),
        }));
        let this = announcements.clone();
        tasks.keep_running("announcing absences", move || this.clone().run());
        announcements
    }

    /// Announces an arrival to agents and to the person. Repeated for each of their connections, as the replaced server did: ten at
    /// once, then one a second.
    pub(super) async fn announce_arrival(&self, person: &Arc<Person>, joined: &Joined) {
        if !joined.came_online && self.0.arrival_rate.take(&person.id).is_err() {
            return;
        }
        let event = online(person.id, person.number, true);
        for agent in self.0.presence.agents() {
            self.0.presence.send(agent, &event);
        }
        if !person.role.is_agent() {
            self.0.presence.send(person.id, &event);
        } else if joined.desk_opened {
            self.announce_desk(true).await;
        }
    }

    pub(super) async fn announce_departure(&self, departed: &Departed) {
        let event = online(departed.person.id, departed.person.number, false);
        for agent in self.0.presence.agents() {
            self.0.presence.send(agent, &event);
        }
        if departed.desk_closed {
            self.announce_desk(false).await;
        }
    }

    /// Sends a connection who is online: to an agent everybody, to a customer the desk.
    pub async fn send_snapshot(&self, viewer: &Arc<Person>, connection: &Arc<dyn Connection>) {
        let events = if viewer.role.is_agent() {
            let others = self.0.presence.everybody().into_iter().filter(|person| person.id != viewer.id);
            others.take(SNAPSHOT).map(|person| online(person.id, person.number, true)).collect()
        } else if self.0.presence.is_desk_open() {
            self.desk_identity().await.map(|desk| desk_event(&desk, viewer.id, true)).into_iter().collect()
        } else {
            Vec::new()
        };
        send_in_chunks(viewer, connection, &events).await;
    }

    /// Sends a customer's connection whether the desk is online.
    pub(super) async fn send_desk(&self, viewer: &Arc<Person>, connection: &Arc<dyn Connection>, is_open: bool) {
        if let Some(desk) = self.desk_identity().await.filter(|desk| !desk.is_unpinned()) {
            send_in_chunks(viewer, connection, &[desk_event(&desk, viewer.id, is_open)]).await;
        }
    }

    /// The same for a connection to one conversation: to an agent, only whether its customer is online.
    pub async fn send_room_snapshot(&self, viewer: &Arc<Person>, customer: &Person, connection: &Arc<dyn Connection>) {
        if viewer.id == customer.id {
            self.send_snapshot(viewer, connection).await;
        } else if self.0.presence.is_online(customer.id) {
            let (event, frames) = (online(customer.id, customer.number, true), Frames::default());
            connection.send(&Outgoing { event: &event, viewer, is_replay: true, frames: &frames });
        }
    }

    /// Sends snapshots to all connections of a person after `delay`: their client has requested the list in which presence is shown,
    /// and ignores presence until it has the list.
    pub fn send_snapshots_after(&self, viewer: &Arc<Person>, delay: Duration) {
        let (announcements, viewer) = (self.clone(), viewer.clone());
        // A snapshot that is pending serves all requests until then.
        if !self.0.pending.add(viewer.id) {
            return;
        }
        self.0.tasks.spawn_until_closed(async move {
            tokio::time::sleep(delay).await;
            announcements.0.pending.remove(viewer.id);
            for connection in announcements.0.presence.connections(viewer.id) {
                announcements.send_snapshot(&viewer, &connection).await;
            }
        });
    }

    /// Sends `authenticated` again to all connections of a person: a client that missed it keeps showing "connecting".
    pub fn resend_authenticated(&self, user: UserId) {
        for connection in self.0.presence.connections(user) {
            connection.resend_authenticated();
        }
    }

    async fn announce_desk(&self, is_open: bool) {
        let Some(desk) = self.desk_identity().await else { return };
        let to_most = desk_event(&desk, DeskId::RESERVED.user, is_open);
        for person in self.0.presence.everybody() {
            if person.role.is_agent() {
                continue;
            }
            if desk.has_id(person.id) {
                self.0.presence.send(person.id, &desk_event(&desk, person.id, is_open));
            } else {
                self.0.presence.send(person.id, &to_most);
            }
        }
    }

    async fn desk_identity(&self) -> Option<Arc<DeskIdentity>> {
        match self.0.directory.desk().await {
            Ok(desk) => Some(desk),
            Err(error) => {
                tracing::warn!(%error, "Could not announce the desk's presence to customers");
                None
            }
        }
    }
}

fn desk_event(desk: &DeskIdentity, customer: UserId, is_open: bool) -> DeskEvent {
    let seen = desk.towards(customer);
    online(seen.id, seen.number, is_open)
}

/// Sends many events, with pauses in which the connection can write them.
pub(super) async fn send_in_chunks(viewer: &Arc<Person>, connection: &Arc<dyn Connection>, events: &[DeskEvent]) {
    for chunk in events.chunks(CHUNK) {
        for event in chunk {
            let frames = Frames::default();
            connection.send(&Outgoing { event, viewer, is_replay: true, frames: &frames });
        }
        if chunk.len() == CHUNK {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

pub(super) fn online(user: UserId, number: u64, is_online: bool) -> DeskEvent {
    DeskEvent::Presence(Arc::new(PresenceChange { user, number, is_online }))
}
