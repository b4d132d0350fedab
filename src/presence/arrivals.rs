//! What has arrived at a person, and what happens to the rest when a connection ends.

use std::time::Duration;

use tokio::time::Instant;

use super::{Leaving, PING_AFTER, Presence};
use crate::domain::{ConnectionId, ConversationId, Seq, UserId};

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client closed it, or authenticated as somebody else: it expects nothing more.
    Closed,
    /// It broke: its client may reconnect.
    Broken,
    /// Its client stopped answering. If the person has a newer connection, the client has reconnected already.
    Silent,
}

/// What a departure changed.
#[derive(Default)]
pub struct Left {
    /// How far conversations have arrived at the person.
    pub arrived: Vec<(ConversationId, Seq)>,
    /// It was the person's last connection: for [`depart`](Presence::depart).
    pub leaving: Option<Leaving>,
}

impl Presence {
    /// Removes a closed connection. Everything that was sent on it before `arrived` has arrived. Unless the client closed it, the rest
    /// is lost to that client: its next connection, which may exist already or join `within` this time, starts with it.
    pub fn leave(
        &self,
        user: UserId,
        connection: ConnectionId,
        arrived: Instant,
        ending: Ending,
        within: Duration,
    ) -> Left {
        let mut state = self.state();
        let Some(online) = state.people.get_mut(&user) else { return Left::default() };
        let Some(place) = online.streams.iter().position(|stream| stream.id() == connection) else {
            return Left::default();
        };
        let stream = online.streams.remove(place);
        let arrived_here = stream.take_arrived(arrived);
        let in_doubt = stream.end(arrived);
        let mut is_back = false;
        if ending != Ending::Closed {
            for newer in online.streams.iter().filter(|newer| newer.may_succeed(&stream, arrived)) {
                newer.begin_with(&in_doubt);
                is_back = true;
            }
        }
        let may_come_back = match ending {
            Ending::Closed => false,
            Ending::Broken => true,
            Ending::Silent => !is_back,
        };
        let leaving = online.streams.is_empty().then(|| {
            online.turn += 1;
            Leaving { user, turn: online.turn }
        });
        if may_come_back && stream.is_made_up_for() {
            state.lost.add(user, stream.connection().recognized(), stream, within);
        }
        Left { arrived: arrived_here, leaving }
    }

    /// How far conversations have arrived at the people who had something in flight. Pings clients that have confirmed nothing for too
    /// long.
    pub fn take_arrived(&self) -> Vec<(UserId, ConversationId, Seq)> {
        let mut arrived = Vec::new();
        let ping_before = Instant::now().checked_sub(PING_AFTER);
        let mut users = self.listed.take();
        users.sort_unstable();
        users.dedup();
        for user in users {
            for stream in self.streams(user) {
                stream.unlist();
                let here = stream.take_arrived(stream.connection().arrived());
                arrived.extend(here.into_iter().map(|(conversation, up_to)| (user, conversation, up_to)));
                if ping_before.is_some_and(|before| stream.is_due_for_ping(before)) {
                    stream.connection().ping();
                }
                stream.list_again();
            }
        }
        arrived
    }

    /// A client of this person has received a conversation up to here, however that became known.
    pub fn confirm(&self, user: UserId, conversation: ConversationId, up_to: Seq) {
        self.state().lost.confirm(user, conversation, up_to);
        for stream in self.streams(user) {
            stream.confirm(conversation, up_to);
        }
    }

    /// This person has fetched the history of a conversation up to here. To be called together with [`confirm`](Self::confirm).
    pub fn note_fetched(&self, user: UserId, conversation: ConversationId, up_to: Seq) {
        // With several connections, it is not known which of their pages it was: a duplicate is better than a gap.
        if let [only] = &self.streams(user)[..] {
            only.note_fetched(conversation, up_to);
        }
    }

    /// The newest entry of a conversation that is in flight to this person.
    pub fn newest_in_flight(&self, user: UserId, conversation: ConversationId) -> Option<Seq> {
        self.streams(user).iter().filter_map(|stream| stream.newest(conversation)).max()
    }
}
