//! What a socket is carried by: a websocket from the start, requests that poll, or first these and then a websocket.
//!
//! The library keeps all that to itself, and shows of a socket the request of its handshake alone. What is needed beyond: when
//! the client was last heard, and what ends a websocket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use axum::http::{StatusCode, request};
use socketioxide::TransportType;
use socketioxide::extract::SocketRef;
use socketioxide::socket::Sid;
use tokio::time::Instant;

use super::MAX_MESSAGE;
use crate::net::HangUp;
use crate::presence::{ON_THE_WAY, ROUND_TRIP, Sent};

/// Bytes of events that may wait for a websocket whose client takes nothing at present; the library bounds their number alone.
const UNREAD: usize = 4 << 20;

/// Bytes of events, and of answers before the last one, that may wait for a client that polls. Together with that last one they
/// fit into what a request is answered with, so that each brings all.
const UNPOLLED: usize = MAX_MESSAGE as usize / 4;

/// The library gives up a change to a websocket that takes longer.
const CHANGE: Duration = Duration::from_secs(10);

/// What carries one socket.
#[derive(Debug)]
pub(super) struct Transport {
    /// The websocket, and when it came.
    websocket: OnceLock<(HangUp, Instant)>,
    /// Since when the websocket is known to carry the socket: what waited for a request has been sent on it by then.
    carries_since: OnceLock<Instant>,
    waiting: Mutex<Waiting>,
}

/// What waits for the client, at most.
#[derive(Debug)]
struct Waiting {
    /// When it polled last.
    polled_at: Instant,
    /// By polling, it has taken what was sent before.
    taken_at: Instant,
    /// Bytes of events since it last took all there was.
    events: usize,
    /// The same of answers.
    answers: usize,
}

impl Transport {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            websocket: OnceLock::new(),
            carries_since: OnceLock::new(),
            waiting: Mutex::new(Waiting { polled_at: now, taken_at: now, events: 0, answers: 0 }),
        }
    }

    /// What ends the websocket; `None` while there is none.
    pub(super) fn hang_up(&self) -> Option<&HangUp> {
        self.websocket.get().map(|(websocket, _)| websocket)
    }

    /// Whether the socket was carried by a websocket when it was last looked at.
    pub(super) fn is_websocket(&self) -> bool {
        self.carries_since.get().is_some()
    }

    /// Takes note of what carries the socket by now.
    pub(super) fn look_at(&self, socket: &SocketRef) {
        if let Some((_, came_at)) = self.websocket.get()
            && !self.is_websocket()
            && socket.transport_type() == TransportType::Websocket
        {
            self.carries_since.get_or_init(|| (*came_at + CHANGE).min(Instant::now()));
        }
    }

    /// Whether an event of so many bytes may still wait. Then it counts as sent.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        let mut waiting = self.waiting();
        let bound = if self.is_websocket() { UNREAD } else { UNPOLLED };
        if self.is_websocket() && self.takes_all() {
            waiting.events = 0;
        }
        let total = waiting.events.saturating_add(bytes);
        let has_room = waiting.events == 0 || total <= bound;
        if has_room {
            waiting.events = total;
        }
        has_room
    }

    /// Bytes of an answer wait, whether there is room for them or not.
    pub(super) fn count(&self, bytes: usize) {
        let mut waiting = self.waiting();
        waiting.answers = waiting.answers.saturating_add(bytes);
    }

    /// Whether answers should wait until the client takes what there is.
    pub(super) fn is_stalled(&self) -> bool {
        if self.is_websocket() { !self.takes_all() } else { self.waiting().answers > UNPOLLED }
    }

    /// Whether nothing waits because the client takes nothing at present.
    fn takes_all(&self) -> bool {
        self.hang_up().is_none_or(|websocket| !websocket.has_unsent())
    }

    /// The client said something, which shows what it has.
    pub(super) fn hear(&self, sent: &mut Sent) {
        if self.takes_all() {
            self.take_out(sent, Instant::now(), ROUND_TRIP);
        }
    }

    /// Nothing is sent any more. Whoever polls has said so in a request, or was polling still: their last answer may be on its way.
    pub(super) fn end(&self, sent: &mut Sent) {
        if !self.is_websocket() {
            let read = Instant::now().checked_sub(ON_THE_WAY);
            let polled_at = self.waiting().polled_at;
            sent.heard(read.map_or(polled_at, |read| read.min(polled_at)), Duration::ZERO);
        }
    }

    /// Takes out what the client has shown to have without saying anything.
    pub(super) fn settle(&self, sent: &mut Sent) {
        sent.heard(self.waiting().taken_at, Duration::ZERO);
        if let Some(websocket) = self.hang_up() {
            // It may have been heard for the last time when it closed.
            self.take_out(sent, websocket.heard_at(), ON_THE_WAY);
        }
    }

    /// Nothing that a client says brings it what still waits for its next request.
    fn take_out(&self, sent: &mut Sent, heard_at: Instant, on_the_way: Duration) {
        if self.carries_since.get().is_some_and(|since| heard_at >= *since + on_the_way) {
            sent.heard(heard_at, on_the_way);
        }
    }

    /// Whoever asks for more has taken what the last request was answered with: all that waited when it came. Only while a
    /// websocket is on its way is it answered with nothing.
    fn polled(&self) {
        if self.websocket.get().is_none() {
            let mut waiting = self.waiting();
            waiting.taken_at = waiting.polled_at;
            waiting.polled_at = Instant::now();
            (waiting.events, waiting.answers) = (0, 0);
        }
    }

    fn carry(&self, websocket: HangUp) {
        // A second one is refused by the library.
        drop(self.websocket.set((websocket, Instant::now())));
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The transports of all sockets that began by polling, by their session. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Transports(Arc<Mutex<HashMap<Sid, Known>>>);

enum Known {
    Socket(Weak<Transport>),
    /// A client may change to a websocket before it has connected to the namespace.
    Websocket(HangUp),
}

impl Known {
    fn websocket(self) -> Option<HangUp> {
        match self {
            Self::Socket(transport) => transport.upgrade()?.hang_up().cloned(),
            Self::Websocket(websocket) => Some(websocket),
        }
    }

    fn is_alive(&self) -> bool {
        match self {
            Self::Socket(transport) => transport.strong_count() > 0,
            Self::Websocket(websocket) => websocket.is_open(),
        }
    }
}

impl Transports {
    /// What carries a new socket.
    pub(super) fn of(&self, session: Sid, handshake: &request::Parts) -> Arc<Transport> {
        let transport = Arc::new(Transport::new());
        let query = Query::of(handshake.uri.query());
        if query.is_websocket {
            if let Some(websocket) = handshake.extensions.get::<HangUp>() {
                transport.carry(websocket.clone());
                transport.carries_since.get_or_init(Instant::now);
            }
            return transport;
        }
        let mut all = self.all();
        let before = insert(&mut all, session, Known::Socket(Arc::downgrade(&transport)));
        if let Some(websocket) = before.and_then(Known::websocket) {
            transport.carry(websocket);
        }
        transport
    }

    /// The socket has closed. Its client may connect to the namespace once more, on the same websocket.
    pub(super) fn closed(&self, session: Sid, transport: &Arc<Transport>) {
        let mut all = self.all();
        if let Some(Known::Socket(known)) = all.get(&session)
            && std::ptr::eq(known.as_ptr(), &raw const **transport)
        {
            match transport.hang_up() {
                Some(websocket) if websocket.is_open() => {
                    all.insert(session, Known::Websocket(websocket.clone()));
                }
                Some(_) | None => drop(all.remove(&session)),
            }
        }
    }

    /// A request is about to be handled.
    pub(super) fn asked(&self, query: &Query, is_poll: bool) {
        let Some(session) = query.session.filter(|_| is_poll && query.is_polling) else { return };
        if let Some(Known::Socket(transport)) = self.all().get(&session)
            && let Some(transport) = transport.upgrade()
        {
            transport.polled();
        }
    }

    /// A request was answered.
    pub(super) fn answered(&self, query: &Query, status: StatusCode, hang_up: Option<HangUp>) {
        let (Some(session), Some(websocket)) = (query.session, hang_up) else { return };
        if !query.is_websocket || status != StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let mut all = self.all();
        if let Some(Known::Socket(transport)) = all.get(&session) {
            if let Some(transport) = transport.upgrade() {
                transport.carry(websocket);
            }
            return;
        }
        if !all.contains_key(&session) {
            insert(&mut all, session, Known::Websocket(websocket));
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Sid, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody else would take out sessions that end without another word.
fn insert(all: &mut HashMap<Sid, Known>, session: Sid, known: Known) -> Option<Known> {
    if all.len() == all.capacity() {
        all.retain(|_, known| known.is_alive());
    }
    all.insert(session, known)
}

/// What a request says of its transport.
#[derive(Default)]
pub(super) struct Query {
    pub(super) is_polling: bool,
    pub(super) is_websocket: bool,
    pub(super) is_eio3: bool,
    session: Option<Sid>,
}

impl Query {
    pub(super) fn of(query: Option<&str>) -> Self {
        let mut found = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("transport", "polling")) => found.is_polling = true,
                Some(("transport", "websocket")) => found.is_websocket = true,
                Some(("EIO", "3")) => found.is_eio3 = true,
                Some(("sid", session)) => found.session = session.parse().ok(),
                Some(_) | None => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ConversationId, Seq};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_waited_when_somebody_polled_has_arrived_when_they_poll_again() {
        let (transport, mut sent) = (Transport::new(), Sent::default());
        let conversation = ConversationId::from_bytes([1; 12]);
        tokio::time::advance(SECOND).await;
        sent.note(conversation, Seq::new(1));
        tokio::time::advance(SECOND).await;
        transport.polled();
        transport.settle(&mut sent);
        transport.hear(&mut sent);
        assert_eq!(sent.in_doubt(), [(conversation, Seq::new(1))], "it may be lost on its way to them");
        tokio::time::advance(SECOND).await;
        sent.note(conversation, Seq::new(2));
        tokio::time::advance(SECOND).await;
        transport.polled();
        transport.settle(&mut sent);
        assert_eq!(sent.in_doubt(), [(conversation, Seq::new(2))]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_ends_without_polling_again_has_not_taken_what_waits() {
        let (transport, mut sent) = (Transport::new(), Sent::default());
        let conversation = ConversationId::from_bytes([1; 12]);
        sent.note(conversation, Seq::new(1));
        tokio::time::advance(SECOND).await;
        transport.polled();
        sent.note(conversation, Seq::new(2));
        tokio::time::advance(SECOND * 60).await;
        transport.end(&mut sent);
        assert_eq!(sent.in_doubt(), [(conversation, Seq::new(2))]);
    }

    #[tokio::test]
    async fn what_waits_for_a_poll_fits_into_its_answer() {
        let transport = Transport::new();
        assert!(transport.has_room_for(UNPOLLED * 2), "one alone that is too long has to go, too");
        assert!(!transport.has_room_for(1));
        transport.polled();
        assert!(transport.has_room_for(UNPOLLED - 1) && transport.has_room_for(1));
        assert!(!transport.has_room_for(1));
    }

    #[tokio::test]
    async fn sessions_that_nobody_takes_out_do_not_add_up() {
        let transports = Transports::default();
        let (handshake, ()) = axum::http::Request::get("/?transport=polling").body(()).unwrap().into_parts();
        for _ in 0..1000 {
            drop(transports.of(Sid::new(), &handshake));
        }
        assert!(transports.all().len() < 10, "{}", transports.all().len());
    }

    #[tokio::test]
    async fn a_session_is_remembered_for_as_long_as_its_socket_is_there() {
        let (transports, session) = (Transports::default(), Sid::new());
        let (handshake, ()) =
            axum::http::Request::get("/socket.io/?EIO=4&transport=polling").body(()).unwrap().into_parts();
        let (older, newer) = (transports.of(session, &handshake), transports.of(session, &handshake));
        transports.closed(session, &older);
        assert_eq!(transports.all().len(), 1, "it has connected once more");
        let poll = Query::of(Some(&format!("EIO=4&transport=polling&sid={session}")));
        let before = newer.waiting().polled_at;
        transports.asked(&poll, true);
        assert!(newer.waiting().polled_at > before);
        transports.asked(&Query::of(Some(&format!("transport=polling&sid={}", Sid::new()))), true);
        transports.closed(session, &newer);
        assert_eq!(transports.all().len(), 0);
    }
}
