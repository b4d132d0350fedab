//! Actors: clients that behave at random. This file has what all protocols share.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::page::Screen;
use super::socketio::Request;
use super::transcript::{Acked, Naming, Transcript};
use crate::domain::Role;
use crate::lab::testkit::socketio::ClientError;

/// Pause before a reconnect.
const RETRY: Duration = Duration::from_millis(20);

/// Timeout of an answer while the server is running.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Time after which everything that was sent has arrived.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// The phase of the run, which is the same for all actors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    /// Send messages.
    Talk,
    /// Send nothing new; retry what is not acknowledged.
    Finish,
    /// Read what is missing, and end. Nobody sends any more.
    Leave,
}

/// What all actors have done so far.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counts {
    /// Messages that were acknowledged.
    pub(super) acknowledged: u64,
    /// Actors whose messages are all acknowledged after [`Phase::Talk`].
    pub(super) finished: usize,
}

/// A person with an account.
#[derive(Clone, Debug)]
pub struct Person {
    /// Account id.
    pub id: String,
    /// Role of the account.
    pub role: Role,
    /// Token of the account.
    pub token: String,
}

/// Protocol and behaviour of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Face {
    /// Socket.IO over a websocket, with `clientMessageId` and `resume`.
    Socketio,
    /// The same over long-polling.
    Polling,
    /// Socket.IO without ids or `resume`: the server has to track what it has.
    Classic,
    /// Socket.IO as in the unchanged frontend's page: with the stock client's connection state recovery, over either transport.
    Page,
    /// Websockets and REST routes of the storefront.
    Storefront,
    /// Websockets and REST routes of the portal.
    Drivecash,
}

impl Face {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Socketio => "socketio",
            Self::Polling => "polling",
            Self::Classic => "classic",
            Self::Page => "page",
            Self::Storefront => "storefront",
            Self::Drivecash => "drivecash",
        }
    }

    pub(super) const fn naming(self) -> Naming {
        match self {
            Self::Socketio | Self::Polling | Self::Classic | Self::Page => Naming::Seq,
            Self::Storefront | Self::Drivecash => Naming::Number,
        }
    }
}

/// How an actor behaves: one tab of a person.
#[derive(Clone)]
pub(super) struct Script {
    /// Name in findings.
    pub(super) name: String,
    pub(super) me: Person,
    pub(super) face: Face,
    /// URL of the server.
    pub(super) url: String,
    /// The people it writes to, at random.
    pub(super) others: Vec<Person>,
    /// Longest pause between two messages.
    pub(super) think: Duration,
    /// Longest time until it drops its connection; `None`: it never does.
    pub(super) link: Option<Duration>,
    /// Seed of its random choices.
    pub(super) seed: u64,
    /// Whether the store can name a page's place in the log.
    pub(super) is_exact: bool,
    /// Whether everything has to arrive live within [`QUIET`]. Several servers poll each other's entries, which may take longer.
    pub(super) expects_live: bool,
}

/// One client, which retries and reconnects until everything is acknowledged.
#[derive(Debug)]
pub(super) struct Actor {
    /// Name in findings.
    pub(super) name: String,
    pub(super) me: Person,
    pub(super) face: Face,
    pub(super) url: String,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) transcript: Transcript,
    pub(super) random: StdRng,
    /// Unanswered requests, in the order of their first attempt.
    pub(super) unanswered: VecDeque<Request>,
    /// Ids of its own messages.
    pub(super) messages: Vec<String>,
    /// Screen of a page.
    pub(super) screen: Screen,
    /// Its conversation, for faces that have one at a time.
    pub(super) room: Option<String>,
    others: Vec<Person>,
    think: Duration,
    link: Option<Duration>,
    pub(super) expects_live: bool,
    counts: watch::Sender<Counts>,
    count: u64,
    has_finished: bool,
}

impl Actor {
    /// An actor that has not connected yet.
    pub(super) fn new(script: Script, phase: watch::Receiver<Phase>, counts: watch::Sender<Counts>) -> Self {
        let Script { name, me, face, url, others, think, link, seed, is_exact, expects_live } = script;
        Self {
            name,
            me,
            face,
            url,
            phase,
            transcript: Transcript::new(face.naming()),
            random: StdRng::seed_from_u64(seed),
            unanswered: VecDeque::new(),
            messages: Vec::new(),
            screen: Screen::new(is_exact),
            room: None,
            others,
            think,
            link,
            expects_live,
            counts,
            count: 0,
            has_finished: false,
        }
    }

    /// Runs until [`Phase::Leave`]. Reconnects whenever the connection is lost.
    pub(super) async fn run(mut self) -> Self {
        loop {
            let ended = match self.face {
                Face::Socketio | Face::Polling => self.run_socketio().await,
                Face::Classic => self.run_classic().await,
                Face::Page => self.run_page().await,
                Face::Storefront => self.run_storefront().await,
                Face::Drivecash => self.run_drivecash().await,
            };
            match ended {
                Ok(()) => return self,
                Err(ClientError::Unexpected(what)) => self.transcript.violations.push(what),
                // The server is down or stopping, or this client has dropped its connection.
                Err(_) => {}
            }
            sleep(RETRY).await;
        }
    }

    /// A unique text, and a random recipient.
    pub(super) fn new_message(&mut self) -> (String, Person) {
        self.count += 1;
        let text = format!("{} says {}", self.name, self.count);
        self.transcript.sent.insert(text.clone());
        let other = self.pick(self.others.len());
        (text, self.others[other].clone())
    }

    /// A random index below `of`.
    pub(super) fn pick(&mut self, of: usize) -> usize {
        self.random.random_range(0..of)
    }

    /// A random pause.
    pub(super) fn pause(&mut self) -> Duration {
        self.think.mul_f64(self.random.random())
    }

    /// When to drop the present connection, if it is dropped at all.
    pub(super) fn link_breaks(&mut self) -> Option<Instant> {
        self.link.map(|longest| Instant::now() + longest.mul_f64(self.random.random()))
    }

    /// Whether to drop the connection now; not once the actors are finishing.
    pub(super) fn is_broken(&self, at: Option<Instant>) -> bool {
        self.phase() == Phase::Talk && at.is_some_and(|at| Instant::now() >= at)
    }

    /// Records a message as acknowledged.
    pub(super) fn acknowledged(&mut self, message: Acked) {
        self.transcript.acked.push(message);
        self.counts.send_modify(|counts| counts.acknowledged += 1);
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Everything it sent is acknowledged.
    pub(super) fn finish(&mut self) {
        if !std::mem::replace(&mut self.has_finished, true) {
            self.counts.send_modify(|counts| counts.finished += 1);
        }
    }
}
