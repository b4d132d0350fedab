//! Announces presence: of everybody to agents, and of the desk, under its one identity, to customers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::desk::Desk;
use crate::desk::conversations::ConversationAccess;
use crate::domain::{DeskEvent, DeskId, DeskIdentity, Person, PresenceChange, Side, UserId};
use crate::presence::{Connection, Delivery, Departed, Frames, Joined};

/// Who will be told soon who is there.
#[derive(Default)]
pub(in crate::desk) struct DueNews(Mutex<HashSet<UserId>>);

impl DueNews {
    /// False if they were waiting already.
    fn add(&self, user: UserId) -> bool {
        self.0.lock().insert(user)
    }

    fn remove(&self, user: UserId) {
        self.0.lock().remove(&user);
    }
}

/// The most people a snapshot names.
const SNAPSHOT: usize = 1000;

/// How many of them are named before the connection gets time to send.
const CHUNK: usize = 64;

/// How much time that is.
const PAUSE: Duration = Duration::from_millis(5);

impl Desk {
    /// Tells agents, and the person themselves, of an arrival; told again at each one, as the replaced server did.
    /// Whoever authenticates over and over is not told of each time.
    pub(in crate::desk) async fn announce_arrival(&self, person: &Arc<Person>, joined: &Joined) {
        if !joined.came_online && self.0.repeats.take(person.id).is_err() {
            return;
        }
        let event = online(person.id, person.number, true);
        for agent in self.0.presence.agents() {
            self.0.presence.tell(agent, &event);
        }
        if !person.role.is_agent() {
            self.0.presence.tell(person.id, &event);
        } else if joined.desk_opened {
            self.announce_desk(true).await;
        }
    }

    pub(in crate::desk) async fn announce_departure(&self, departed: &Departed) {
        let event = online(departed.person.id, departed.person.number, false);
        for agent in self.0.presence.agents() {
            self.0.presence.tell(agent, &event);
        }
        if departed.desk_closed {
            self.announce_desk(false).await;
        }
    }

    /// Tells a connection who is there: to an agent everybody, to a customer the desk.
    pub async fn tell_who_is_there(&self, viewer: &Arc<Person>, connection: &Arc<dyn Connection>) {
        let events = if viewer.role.is_agent() {
            let others = self.0.presence.everybody().into_iter().filter(|person| person.id != viewer.id);
            others.take(SNAPSHOT).map(|person| online(person.id, person.number, true)).collect()
        } else if self.0.presence.is_desk_open() {
            self.desk_identity().await.map(|desk| desk_event(&desk, viewer.id, true)).into_iter().collect()
        } else {
            Vec::new()
        };
        tell_slowly(viewer, connection, &events).await;
    }

    /// Tells a customer's connection whether the desk is there.
    pub(in crate::desk) async fn tell_desk(
        &self,
        viewer: &Arc<Person>,
        connection: &Arc<dyn Connection>,
        is_open: bool,
    ) {
        if let Some(desk) = self.desk_identity().await.filter(|desk| !desk.is_unpinned()) {
            tell_slowly(viewer, connection, &[desk_event(&desk, viewer.id, is_open)]).await;
        }
    }

    /// The same for a connection that is for one room: an agent is told whether its customer is there.
    pub async fn tell_who_is_in(&self, entered: &ConversationAccess, connection: &Arc<dyn Connection>) {
        let (viewer, customer) = (&entered.person, &entered.customer);
        if entered.side == Side::Customer {
            self.tell_who_is_there(viewer, connection).await;
        } else if self.0.presence.is_online(customer.id) {
            let (event, frames) = (online(customer.id, customer.number, true), Frames::default());
            connection.send(&Delivery { event: &event, viewer, is_replay: true, frames: &frames });
        }
    }

    /// The same for all connections of a person, after `delay`: their client has asked for the list that the news
    /// belongs to, and can make use of it only when it has the list.
    pub fn tell_who_is_there_after(&self, viewer: &Arc<Person>, delay: Duration) {
        let (desk, viewer) = (self.clone(), viewer.clone());
        // One that is due soon serves all who have asked meanwhile.
        if !self.0.due_news.add(viewer.id) {
            return;
        }
        self.run(async move {
            tokio::time::sleep(delay).await;
            desk.0.due_news.remove(viewer.id);
            for connection in desk.0.presence.connections(viewer.id) {
                desk.tell_who_is_there(&viewer, &connection).await;
            }
        });
    }

    /// Tells a person's clients once more that they are authenticated: one may have lost track of it, and shows
    /// "connecting" until it hears so.
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
                self.0.presence.tell(person.id, &desk_event(&desk, person.id, is_open));
            } else {
                self.0.presence.tell(person.id, &to_most);
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

/// Sends many events, with pauses in which the connection gets time to send them on.
pub(in crate::desk) async fn tell_slowly(viewer: &Arc<Person>, connection: &Arc<dyn Connection>, events: &[DeskEvent]) {
    for chunk in events.chunks(CHUNK) {
        for event in chunk {
            let frames = Frames::default();
            connection.send(&Delivery { event, viewer, is_replay: true, frames: &frames });
        }
        if chunk.len() == CHUNK {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

pub(in crate::desk) fn online(user: UserId, number: u64, is_online: bool) -> DeskEvent {
    DeskEvent::Presence(Arc::new(PresenceChange { user, number, is_online }))
}
