//! What all clients have in common, whatever they speak.

use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::page::Screen;
use super::socketio::Ask;
use super::transcript::{Naming, Transcript};
use crate::domain::Role;
use crate::lab::testkit::socketio::ClientError;

/// How long a client that was cut off waits before it tries again.
const RETRY: Duration = Duration::from_millis(20);

/// A client loses its connection by itself after at most so long.
const LINK: Duration = Duration::from_secs(4);

/// How long an answer may take, while the server runs.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// After so long, what was told last has surely come.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// What everybody is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    /// Say things.
    Talk,
    /// Say nothing new; see to what was not acknowledged.
    Finish,
    /// Nothing is said any more: read what is missing, and end.
    Leave,
}

/// Somebody.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// Their id.
    pub(super) id: String,
    /// What they may do.
    pub(super) role: Role,
    /// Shown to the server.
    pub(super) token: String,
}

/// What a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Face {
    /// Socket.IO by websocket: names its messages, and resumes.
    Socketio,
    /// The same by long-polling.
    Polling,
    /// Socket.IO by a client that can say nothing of what it has: names nothing, and is caught up.
    Classic,
    /// Socket.IO as the unchanged frontend's page speaks it, in a browser: with the stock client's recovery, by either transport.
    Page,
    /// The shop's websockets and requests.
    Storefront,
    /// The portal's.
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

/// The part that a client plays: a tab of somebody.
pub(super) struct Part {
    /// What it is called in findings.
    pub(super) name: String,
    pub(super) me: Person,
    pub(super) face: Face,
    /// Whom it writes to, in turn.
    pub(super) others: Vec<Person>,
    /// The longest that it thinks.
    pub(super) think: Duration,
    /// What its choices follow from.
    pub(super) seed: u64,
    /// Whether a page's place can be named.
    pub(super) is_exact: bool,
}

/// One client.
pub(super) struct Actor {
    /// What it is called in findings.
    pub(super) name: String,
    pub(super) me: Person,
    pub(super) face: Face,
    pub(super) url: String,
    pub(super) phase: watch::Receiver<Phase>,
    pub(super) transcript: Transcript,
    pub(super) random: StdRng,
    /// Asked and not answered, in the order in which it was first asked.
    pub(super) unanswered: VecDeque<Ask>,
    /// The ids of messages that it said.
    pub(super) messages: Vec<String>,
    /// What stands on the screen of a page.
    pub(super) screen: Screen,
    /// The room it is in, if it is in one at a time.
    pub(super) room: Option<String>,
    others: Vec<Person>,
    think: Duration,
    /// Told once it has seen to everything.
    finished: watch::Sender<usize>,
    count: u64,
    has_finished: bool,
}

impl Actor {
    /// A client of the server at `url`, that has said nothing.
    pub(super) fn new(part: Part, url: &str, phase: watch::Receiver<Phase>, finished: watch::Sender<usize>) -> Self {
        let Part { name, me, face, others, think, seed, is_exact } = part;
        Self {
            name,
            me,
            face,
            url: url.to_owned(),
            phase,
            transcript: Transcript::new(face.naming()),
            random: StdRng::seed_from_u64(seed),
            unanswered: VecDeque::new(),
            messages: Vec::new(),
            screen: Screen::new(is_exact),
            room: None,
            others,
            think,
            finished,
            count: 0,
            has_finished: false,
        }
    }

    /// Talks until everybody leaves. Comes back whenever the connection breaks.
    pub(super) async fn run(mut self) -> Self {
        loop {
            let conversed = match self.face {
                Face::Socketio | Face::Polling => self.converse_over_socketio().await,
                Face::Classic => self.converse_as_classic().await,
                Face::Page => self.converse_as_page().await,
                Face::Storefront => self.converse_over_storefront().await,
                Face::Drivecash => self.converse_over_drivecash().await,
            };
            match conversed {
                Ok(()) => return self,
                Err(ClientError::Unexpected(what)) => self.transcript.wrong.push(what),
                // The server is gone, or going, or this client has lost its link.
                Err(_) => {}
            }
            sleep(RETRY).await;
        }
    }

    /// Something that nobody has said yet, and the person to say it to.
    pub(super) fn something_new(&mut self) -> (String, Person) {
        self.count += 1;
        let text = format!("{} says {}", self.name, self.count);
        self.transcript.sent.insert(text.clone());
        let other = self.pick(self.others.len());
        (text, self.others[other].clone())
    }

    /// One of so many.
    pub(super) fn pick(&mut self, of: usize) -> usize {
        self.random.random_range(0..of)
    }

    /// How long it thinks now.
    pub(super) fn pause(&mut self) -> Duration {
        self.think.mul_f64(self.random.random())
    }

    /// When the present link will break by itself; never once everybody is finishing.
    pub(super) fn link_breaks(&mut self) -> Instant {
        Instant::now() + LINK.mul_f64(self.random.random())
    }

    /// Whether that is now.
    pub(super) fn is_broken(&self, at: Instant) -> bool {
        self.phase() == Phase::Talk && Instant::now() >= at
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// All it said is answered.
    pub(super) fn finish(&mut self) {
        if !std::mem::replace(&mut self.has_finished, true) {
            self.finished.send_modify(|count| *count += 1);
        }
    }
}
