//! What a socket is carried by: a websocket from the start, requests that poll, or first these and then a websocket.
//!
//! The library keeps all that to itself, and shows of a socket the request of its handshake alone. What is needed beyond: when
//! the client was last heard, and what ends a websocket.

use std::fmt::Display;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use socketioxide::TransportType;
use socketioxide::extract::SocketRef;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::MAX_MESSAGE;
use super::connect_answer::ConnectAnswer;
use crate::domain::UserId;
use crate::net::HangUp;
use crate::presence::{ON_THE_WAY, ROUND_TRIP};

/// Bytes of events that may wait for a websocket whose client takes nothing at present; the library bounds their number alone.
const UNREAD: usize = 4 << 20;

/// Bytes of events, and of answers before the last one, that may wait for a client that polls. Together with that last one they
/// fit into what a request is answered with, so that each brings all.
const UNPOLLED: usize = MAX_MESSAGE as usize / 4;

/// The library gives up a change to a websocket that takes longer.
const CHANGE: Duration = Duration::from_secs(10);

/// How long a client may take to answer once its person has come back on another connection.
const ANSWER: Duration = Duration::from_millis(2500);

/// How long the library takes at most to hand what it was given to a connection, if it has written something since.
const HANDED_ON: Duration = Duration::from_millis(20);

/// How exactly it is known when a websocket was heard last.
const HEARD_WITHIN: Duration = Duration::from_millis(1);

/// What carries one socket.
#[derive(Debug)]
pub(in crate::faces) struct Transport {
    /// The websocket, and when it came.
    websocket: OnceLock<(HangUp, Instant)>,
    /// Since when the websocket is known to carry the socket: what waited for a request has been sent on it by then.
    carries_since: OnceLock<Instant>,
    waiting: Mutex<Waiting>,
    /// What tells the client that it is connected.
    pub(in crate::faces) connect_answer: ConnectAnswer,
    /// Cancelled when a client that polls shall come back with a new session; one with a websocket has none.
    ended: Option<CancellationToken>,
}

/// What waits for the client, at most.
#[derive(Debug)]
struct Waiting {
    /// When it polled last.
    polled_at: Instant,
    /// Everything that was sent before has arrived, as far as polls and events of the client show.
    arrived: Instant,
    /// When the last event was sent.
    sent_at: Instant,
    /// Bytes of events since it last took all there was.
    events: usize,
    /// The same of answers.
    answers: usize,
    /// A part of what waited when it polled last is held back for its next polls, or has been lost.
    is_held: bool,
}

impl Transport {
    /// Of a socket that polls, as far as is known.
    pub(in crate::faces) fn new() -> Self {
        let now = Instant::now();
        Self {
            websocket: OnceLock::new(),
            carries_since: OnceLock::new(),
            waiting: Mutex::new(Waiting {
                polled_at: now,
                arrived: now,
                sent_at: now,
                events: 0,
                answers: 0,
                is_held: false,
            }),
            connect_answer: ConnectAnswer::default(),
            ended: Some(CancellationToken::new()),
        }
    }

    /// Of a socket that was carried by this websocket from the start.
    pub(in crate::faces) fn of_websocket(websocket: &HangUp) -> Self {
        let transport = Self { ended: None, ..Self::new() };
        transport.carry(websocket);
        transport.carries_since.get_or_init(Instant::now);
        transport
    }

    /// What ends the websocket; `None` while there is none.
    pub(in crate::faces) fn hang_up(&self) -> Option<&HangUp> {
        self.websocket.get().map(|(websocket, _)| websocket)
    }

    /// Ends the session of a client that polls: its next request finds that out, also the one that waits at present.
    pub(in crate::faces) fn end_session(&self) {
        if let Some(ended) = &self.ended {
            ended.cancel();
        }
    }

    /// Cancelled once the session has been ended.
    pub(in crate::faces) fn ended(&self) -> Option<CancellationToken> {
        self.ended.clone()
    }

    /// Asks the client for a sign of life, if a websocket carries the socket: one that polls gives enough of them. False if it
    /// cannot be asked at present.
    pub(in crate::faces) fn ask(&self) -> bool {
        let Some(websocket) = self.hang_up().filter(|_| self.is_websocket()) else { return false };
        websocket.ping(self.written_before(websocket))
    }

    /// Everything that was sent before this has been written. The library keeps what it was given in a queue of its own, whose task
    /// may be late.
    fn written_before(&self, websocket: &HangUp) -> Instant {
        let (now, sent_at, flushed_at) = (Instant::now(), self.waiting().sent_at, websocket.flushed_at());
        if flushed_at > sent_at && now > sent_at + HANDED_ON {
            return now;
        }
        let before = |time: Instant, span| time.checked_sub(span).unwrap_or(flushed_at);
        before(now, ROUND_TRIP).min(before(flushed_at, HANDED_ON))
    }

    /// The same, and waits for an answer. False if there is none, so that the client is not there any more. A client that polls is
    /// asked by what was sent to it. One that has not taken everything yet is waited for as any other.
    pub(in crate::faces) async fn answers(&self) -> bool {
        let asked_at = Instant::now();
        let polls = self.hang_up().is_none();
        if polls && self.waiting().events == 0 {
            return true;
        }
        let is_asked = async {
            while !polls && !self.ask() {
                sleep(HANDED_ON).await;
            }
        };
        drop(timeout_at(asked_at + ANSWER, is_asked).await);
        // The first one may not have covered what was sent just before it.
        sleep_until(asked_at + ROUND_TRIP).await;
        let _is_asked = self.ask();
        sleep_until(asked_at + ANSWER).await;
        if let Some(websocket) = self.hang_up() {
            return !self.is_websocket() || !self.takes_all() || websocket.heard_at() + HEARD_WITHIN > asked_at;
        }
        let waiting = self.waiting();
        waiting.is_held || waiting.polled_at > asked_at
    }

    /// Whether a websocket has come that does not carry the socket yet, as far as is known.
    pub(in crate::faces) fn is_changing(&self) -> bool {
        self.hang_up().is_some_and(HangUp::is_open) && !self.is_websocket()
    }

    /// Whether the socket was carried by a websocket when it was last looked at.
    pub(in crate::faces) fn is_websocket(&self) -> bool {
        self.carries_since.get().is_some()
    }

    /// Takes note of what carries the socket by now.
    pub(in crate::faces) fn look_at(&self, socket: Option<&SocketRef>) {
        if !self.is_websocket()
            && let Some((_, came_at)) = self.websocket.get()
            && socket.is_some_and(|socket| socket.transport_type() == TransportType::Websocket)
        {
            self.carries_since.get_or_init(|| (*came_at + CHANGE).min(Instant::now()));
            self.connect_answer.leave_to_websocket();
            // It polls no more, so what is held back for its polls is lost. It comes back, and is sent that again.
            if self.waiting().is_held
                && let Some(websocket) = self.hang_up()
            {
                websocket.now();
            }
        }
    }

    /// A part of the last answer to a poll is held back, or has been lost, or is so no longer.
    pub(in crate::faces) fn holds_back(&self, is_held: bool) {
        self.waiting().is_held = is_held;
    }

    /// The packet that tells the client that it is connected shall carry this `pid`, whatever brings it.
    pub(in crate::faces) fn add_pid(&self, session: impl Display, namespace: &str, pid: &str) {
        self.connect_answer.add(session, namespace, pid);
        // A websocket that comes at this moment finds the packet by itself.
        if let Some(websocket) = self.hang_up() {
            self.connect_answer.carry(websocket);
        }
        if self.is_websocket() {
            self.connect_answer.leave_to_websocket();
        }
    }

    /// Whether an event of so many bytes may still wait for this client of a person. Then it counts as sent.
    pub(in crate::faces) fn has_room_for(&self, person: UserId, bytes: usize) -> bool {
        let mut waiting = self.waiting();
        let bound = if self.is_websocket() { UNREAD } else { UNPOLLED };
        if self.is_websocket() && self.takes_all() {
            waiting.events = 0;
        }
        let total = waiting.events.saturating_add(bytes);
        let has_room = (waiting.events == 0 || total <= bound)
            && self.hang_up().is_none_or(|websocket| websocket.admit(Some(person), bytes));
        if has_room {
            waiting.events = total;
            waiting.sent_at = Instant::now();
        }
        has_room
    }

    /// Bytes of an answer wait, whether there is room for them or not.
    pub(in crate::faces) fn count_answer(&self, bytes: usize) {
        let mut waiting = self.waiting();
        waiting.answers = waiting.answers.saturating_add(bytes);
    }

    /// Whether answers should wait until the client takes what there is.
    pub(in crate::faces) fn is_stalled(&self) -> bool {
        if self.is_websocket() { !self.takes_all() } else { self.waiting().answers > UNPOLLED }
    }

    /// Whether nothing waits because the client takes nothing at present.
    fn takes_all(&self) -> bool {
        self.hang_up().is_none_or(|websocket| !websocket.has_unsent())
    }

    /// The client said something, which shows what it has.
    pub(in crate::faces) fn hear(&self) {
        if self.takes_all()
            && let Some(before) = self.carried_at(Instant::now(), ROUND_TRIP)
        {
            self.confirm(before);
        }
    }

    /// Everything that was sent has arrived: the client is at the other end and takes all there is.
    pub(in crate::faces) fn confirm_all(&self) {
        self.confirm(Instant::now());
    }

    /// Nothing is sent any more. Whoever polls has said so in a request, or was polling still: their last answer may be on its way.
    pub(in crate::faces) fn end(&self) {
        if !self.is_websocket()
            && let Some(read) = Instant::now().checked_sub(ON_THE_WAY)
        {
            let (polled_at, is_held) = {
                let waiting = self.waiting();
                (waiting.polled_at, waiting.is_held)
            };
            if !is_held {
                self.confirm(read.min(polled_at));
            }
        }
    }

    /// Everything that was sent before this has arrived.
    pub(in crate::faces) fn arrived(&self) -> Instant {
        let shown = self.waiting().arrived;
        let Some(websocket) = self.hang_up() else { return shown };
        let answered = self.carried_at(websocket.answered(), Duration::ZERO);
        // It may have been heard for the last time when it closed.
        let heard = self.carried_at(websocket.heard_at(), ON_THE_WAY);
        [answered, heard].into_iter().flatten().fold(shown, Instant::max)
    }

    fn confirm(&self, before: Instant) {
        let mut waiting = self.waiting();
        waiting.arrived = waiting.arrived.max(before);
    }

    /// So long before it was heard, if a websocket carried the socket then: nothing that a client says brings it what still waits
    /// for its next request.
    fn carried_at(&self, heard_at: Instant, on_the_way: Duration) -> Option<Instant> {
        let sent_at = heard_at.checked_sub(on_the_way)?;
        self.carries_since.get().filter(|since| sent_at >= **since).map(|_| sent_at)
    }

    /// Whoever asks for more has taken what the last request was answered with: all that waited when it came. Only while a
    /// websocket is on its way is it answered with nothing.
    pub(in crate::faces) fn polled(&self) {
        if self.websocket.get().is_none() {
            let mut waiting = self.waiting();
            if waiting.is_held {
                return;
            }
            waiting.arrived = waiting.arrived.max(waiting.polled_at);
            waiting.polled_at = Instant::now();
            (waiting.events, waiting.answers) = (0, 0);
        }
    }

    /// A poll has been waiting since then, so its client had taken everything that was sent before.
    pub(in crate::faces) fn polls_since(&self, asked: Instant) {
        if self.hang_up().is_none() {
            self.confirm(asked);
        }
    }

    /// A websocket has come, and is to carry the socket.
    pub(in crate::faces) fn carry(&self, websocket: &HangUp) {
        // A second one is refused by the library.
        drop(self.websocket.set((websocket.clone(), Instant::now())));
        self.connect_answer.carry(websocket);
    }

    /// When it polled last.
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
    async fn what_waited_when_somebody_polled_has_arrived_when_they_poll_again() {
        let transport = Transport::new();
        let opened = Instant::now();
        tokio::time::advance(SECOND).await;
        transport.polled();
        transport.hear();
        assert_eq!(transport.arrived(), opened, "what waited may be lost on its way to them");
        tokio::time::advance(SECOND).await;
        transport.polled();
        assert_eq!(transport.arrived(), opened + SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn who_ends_without_polling_again_has_not_taken_what_waits() {
        let transport = Transport::new();
        tokio::time::advance(SECOND).await;
        let polled_at = Instant::now();
        transport.polled();
        tokio::time::advance(SECOND * 60).await;
        transport.end();
        assert_eq!(transport.arrived(), polled_at);
    }

    /// The library lets polls bring what waits until it has begun to change to the websocket.
    #[tokio::test]
    async fn a_poll_brings_the_page_id_also_when_a_websocket_has_come() {
        let transport = Transport::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = Arc::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        transport.carry(&HangUp::of(&stream));
        transport.add_pid("session", "/", "page");
        assert!(transport.connect_answer.is_due());
        let answer = transport.connect_answer.in_answer(Response::new(r#"40{"sid":"session"}"#.into())).await;
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"40{"sid":"session","pid":"page"}"#);
        assert!(!transport.connect_answer.is_due());
    }

    #[tokio::test]
    async fn what_waits_for_a_poll_fits_into_its_answer() {
        let (transport, person) = (Transport::new(), UserId::from_bytes([1; 12]));
        assert!(transport.has_room_for(person, UNPOLLED * 2), "one alone that is too long has to go, too");
        assert!(!transport.has_room_for(person, 1));
        transport.polled();
        assert!(transport.has_room_for(person, UNPOLLED - 1) && transport.has_room_for(person, 1));
        assert!(!transport.has_room_for(person, 1));
    }
}
