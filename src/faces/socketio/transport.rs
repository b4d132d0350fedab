//! The transport of a socket: a websocket from the start, long-polling, or long-polling and then a websocket.
//!
//! `socketioxide` shows only the handshake request of a socket. This module tracks the rest: what its client has received, and how to
//! close its websocket.
//!
//! An event has arrived once the client has proved it: by the pong to a ping that was written after the event, or by the poll that follows
//! the response with the event. What a client sends otherwise, and how it closes, proves nothing: its events and ours may pass each other.

use std::fmt::Display;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use socketioxide::TransportType;
use socketioxide::extract::SocketRef;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::MAX_MESSAGE;
use super::connect_packet::ConnectPacket;
use crate::domain::UserId;
use crate::net::ConnectionHandle;

/// Most bytes of events that are queued for a websocket whose client is not reading. engineioxide limits only their number.
const UNREAD: usize = 4 << 20;

/// Most bytes of events, and of acknowledgements before the last one, that are queued for a polling client. Together with the last one they
/// fit into one response.
const UNPOLLED: usize = MAX_MESSAGE as usize / 4;

/// How long a client may take to answer once its person has connected elsewhere.
const ANSWER: Duration = Duration::from_millis(2500);

/// When a client is pinged for the second time.
const SECOND_PING: Duration = Duration::from_millis(500);

/// Interval between attempts to ping a client.
const PING_AGAIN: Duration = Duration::from_millis(20);

/// Precision of the time at which a websocket was last heard from.
const HEARD_WITHIN: Duration = Duration::from_millis(1);

/// The transport of one socket, or of all sockets of a session that began by polling.
#[derive(Debug)]
pub(in crate::faces) struct Transport {
    websocket: OnceLock<ConnectionHandle>,
    /// Whether the websocket carried the socket when that was last checked.
    is_websocket: AtomicBool,
    waiting: Mutex<Waiting>,
    /// Adds the `pid` to the CONNECT packet.
    pub(in crate::faces) connect_packet: ConnectPacket,
    /// Cancelled to close the session of a polling client; `None` for a websocket.
    ended: Option<CancellationToken>,
}

/// What may be queued for the client, and what it has received.
#[derive(Debug)]
struct Waiting {
    /// When the client last polled.
    polled_at: Instant,
    /// Everything that was sent before this has arrived, as far as polls prove.
    arrived: Instant,
    /// Number of events that were queued, and have been neither in the response to a poll nor counted by a websocket.
    queued: u64,
    /// Bytes of events since the client last read everything.
    events: usize,
    /// The same for acknowledgements.
    acknowledgements: usize,
    /// A part of the last response is held for the next polls, or was lost.
    is_held: bool,
}

impl Transport {
    /// For a socket that began by polling.
    pub(in crate::faces) fn new() -> Self {
        let now = Instant::now();
        Self {
            websocket: OnceLock::new(),
            is_websocket: AtomicBool::new(false),
            waiting: Mutex::new(Waiting {
                polled_at: now,
                arrived: now,
                queued: 0,
                events: 0,
                acknowledgements: 0,
                is_held: false,
            }),
            connect_packet: ConnectPacket::default(),
            ended: Some(CancellationToken::new()),
        }
    }

    /// For a socket that began with this websocket.
    pub(in crate::faces) fn of_websocket(websocket: &ConnectionHandle) -> Self {
        let transport = Self { ended: None, ..Self::new() };
        transport.carry(websocket);
        transport.is_websocket.store(true, Ordering::Relaxed);
        transport
    }

    /// The websocket; `None` while there is none.
    pub(in crate::faces) fn connection_handle(&self) -> Option<&ConnectionHandle> {
        self.websocket.get()
    }

    /// Closes the session of a polling client, with the response to its current or next poll.
    pub(in crate::faces) fn end_session(&self) {
        if let Some(ended) = &self.ended {
            ended.cancel();
        }
    }

    /// Cancelled once the session was closed.
    pub(in crate::faces) fn ended(&self) -> Option<CancellationToken> {
        self.ended.clone()
    }

    /// Pings the client, if a websocket carries the socket; polls prove enough otherwise. Returns false if it cannot be pinged now.
    pub(in crate::faces) fn ping(&self) -> bool {
        self.carrier().is_some_and(ConnectionHandle::ping)
    }

    /// Pings the client and waits. Returns false if it does not answer, which means that it is dead. For a polling client, what was sent
    /// to it takes the place of a ping: it must poll again.
    pub(in crate::faces) async fn is_alive(&self) -> bool {
        let began = Instant::now();
        let polls = self.connection_handle().is_none();
        if polls && self.waiting().events == 0 {
            return true;
        }
        let first_ping = async {
            while !polls && !self.ping() {
                sleep(PING_AGAIN).await;
            }
        };
        drop(timeout_at(began + ANSWER, first_ping).await);
        // An event that was still queued at the first ping is confirmed by the second one.
        sleep_until(began + SECOND_PING).await;
        let _is_sent = self.ping();
        sleep_until(began + ANSWER).await;
        if let Some(websocket) = self.connection_handle() {
            return !self.is_websocket() || !self.reads_everything() || websocket.heard_at() + HEARD_WITHIN > began;
        }
        let waiting = self.waiting();
        waiting.is_held || waiting.polled_at > began
    }

    /// Whether an upgrade is in progress: a websocket is open, and does not carry the socket yet.
    pub(in crate::faces) fn is_upgrading(&self) -> bool {
        self.connection_handle().is_some_and(ConnectionHandle::is_open) && !self.is_websocket()
    }

    /// Whether a websocket carried the socket when it was last checked.
    pub(in crate::faces) fn is_websocket(&self) -> bool {
        self.is_websocket.load(Ordering::Acquire)
    }

    /// Checks what carries the socket now.
    pub(in crate::faces) fn update(&self, socket: Option<&SocketRef>) {
        if !self.is_websocket()
            && let Some(websocket) = self.connection_handle()
            && socket.is_some_and(|socket| socket.transport_type() == TransportType::Websocket)
        {
            let is_held = {
                let mut waiting = self.waiting();
                if self.is_websocket() {
                    return;
                }
                // Before the websocket can be pinged: a ping confirms what is written, if everything that is queued is counted.
                websocket.count_queued(std::mem::take(&mut waiting.queued));
                self.is_websocket.store(true, Ordering::Release);
                waiting.is_held
            };
            self.connect_packet.leave_to_websocket();
            // What is held for the next polls is lost, since the client stops polling. It must reconnect to receive it.
            if is_held {
                websocket.abort();
            }
        }
    }

    /// Counts an event, before it is queued. If it cannot be queued, it has to be [uncounted](Self::uncount_events).
    pub(in crate::faces) fn count_event(&self) {
        if let Some(websocket) = self.carrier() {
            return websocket.count_queued(1);
        }
        let mut waiting = self.waiting();
        match self.carrier() {
            Some(websocket) => websocket.count_queued(1),
            None => waiting.queued += 1,
        }
    }

    /// Subtracts events that could not be queued, or that are in the response to a poll. Such a response may be counted after the upgrade
    /// was noticed.
    pub(in crate::faces) fn uncount_events(&self, events: u64) {
        let mut waiting = self.waiting();
        match self.carrier() {
            Some(websocket) => websocket.uncount_queued(events),
            None => waiting.queued = waiting.queued.saturating_sub(events),
        }
    }

    /// The websocket, once it carries the socket. It does so until the end.
    fn carrier(&self) -> Option<&ConnectionHandle> {
        self.connection_handle().filter(|_| self.is_websocket())
    }

    /// Sets whether a part of the last response to a poll is held back, or was lost.
    pub(in crate::faces) fn holds_back(&self, is_held: bool) {
        self.waiting().is_held = is_held;
    }

    /// Adds this `pid` to the CONNECT packet, on any transport.
    pub(in crate::faces) fn add_pid(&self, session: impl Display, namespace: &str, pid: &str) {
        self.connect_packet.add(session, namespace, pid);
        // A websocket that is opened concurrently finds the packet in `carry`.
        if let Some(websocket) = self.connection_handle() {
            self.connect_packet.carry(websocket);
        }
        if self.is_websocket() {
            self.connect_packet.leave_to_websocket();
        }
    }

    /// Whether another event of this size fits into the queue of this person's client. If so, it counts as sent.
    pub(in crate::faces) fn has_room_for(&self, person: UserId, bytes: usize) -> bool {
        let mut waiting = self.waiting();
        let bound = if self.is_websocket() { UNREAD } else { UNPOLLED };
        if self.is_websocket() && self.reads_everything() {
            waiting.events = 0;
        }
        let total = waiting.events.saturating_add(bytes);
        let has_room = (waiting.events == 0 || total <= bound)
            && self.connection_handle().is_none_or(|websocket| websocket.admit(Some(person), bytes));
        if has_room {
            waiting.events = total;
        }
        has_room
    }

    /// Counts the bytes of an acknowledgement, which is sent in any case.
    pub(in crate::faces) fn count_acknowledgement(&self, bytes: usize) {
        let mut waiting = self.waiting();
        waiting.acknowledgements = waiting.acknowledgements.saturating_add(bytes);
    }

    /// Whether acknowledgements should wait until the client reads.
    pub(in crate::faces) fn is_stalled(&self) -> bool {
        if self.is_websocket() { !self.reads_everything() } else { self.waiting().acknowledgements > UNPOLLED }
    }

    /// Whether the client reads everything that is written.
    fn reads_everything(&self) -> bool {
        self.connection_handle().is_none_or(|websocket| !websocket.has_unsent())
    }

    /// Everything that was sent before this has arrived.
    pub(in crate::faces) fn arrived(&self) -> Instant {
        let polled = self.waiting().arrived;
        let answered = self.connection_handle().and_then(ConnectionHandle::answered);
        answered.map_or(polled, |answered| answered.max(polled))
    }

    fn confirm(&self, before: Instant) {
        let mut waiting = self.waiting();
        waiting.arrived = waiting.arrived.max(before);
    }

    /// Notes a new poll, which proves that the last response has arrived: everything that was queued then. Not during an upgrade, when
    /// responses are empty.
    pub(in crate::faces) fn polled(&self) {
        if self.websocket.get().is_none() {
            let mut waiting = self.waiting();
            if waiting.is_held {
                return;
            }
            waiting.arrived = waiting.arrived.max(waiting.polled_at);
            waiting.polled_at = Instant::now();
            (waiting.events, waiting.acknowledgements) = (0, 0);
        }
    }

    /// A poll has been waiting since `asked`, so the client has received everything that was sent before.
    pub(in crate::faces) fn polls_since(&self, asked: Instant) {
        if self.connection_handle().is_none() {
            self.confirm(asked);
        }
    }

    /// Sets the websocket that is to carry the socket.
    pub(in crate::faces) fn carry(&self, websocket: &ConnectionHandle) {
        // engineioxide rejects a second one.
        drop(self.websocket.set(websocket.clone()));
        self.connect_packet.carry(websocket);
    }

    /// When the client last polled.
    #[cfg(test)]
    pub(in crate::faces) fn polled_at(&self) -> Instant {
        self.waiting().polled_at
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::response::Response;
    use http_body_util::BodyExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn events_queued_at_a_poll_have_arrived_at_the_next_one() {
        let transport = Transport::new();
        let opened = Instant::now();
        tokio::time::advance(SECOND).await;
        transport.polled();
        assert_eq!(transport.arrived(), opened, "the response may be lost");
        tokio::time::advance(SECOND).await;
        transport.polled();
        assert_eq!(transport.arrived(), opened + SECOND);
    }

    /// engineioxide sends queued packets in responses to polls until it has begun the upgrade.
    #[tokio::test]
    async fn the_response_to_a_poll_has_the_page_id_also_when_a_websocket_is_open() {
        let transport = Transport::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = Arc::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        transport.carry(&ConnectionHandle::of(&stream));
        transport.add_pid("session", "/", "page");
        assert!(transport.connect_packet.is_due());
        let response = transport.connect_packet.in_response(Response::new(r#"40{"sid":"session"}"#.into())).await;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"40{"sid":"session","pid":"page"}"#);
        assert!(!transport.connect_packet.is_due());
    }

    #[tokio::test]
    async fn packets_that_are_queued_for_a_poll_fit_into_one_response() {
        let (transport, person) = (Transport::new(), UserId::from_bytes([1; 12]));
        assert!(transport.has_room_for(person, UNPOLLED * 2), "a single event is always accepted");
        assert!(!transport.has_room_for(person, 1));
        transport.polled();
        assert!(transport.has_room_for(person, UNPOLLED - 1) && transport.has_room_for(person, 1));
        assert!(!transport.has_room_for(person, 1));
    }
}
