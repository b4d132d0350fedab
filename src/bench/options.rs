//! What a load run can be told.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};

use crate::rig::RigOptions;

/// A kind of load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Many connections that say nothing: what does one cost in memory?
    Idle,
    /// Closed loop: each sender keeps a fixed number of messages unconfirmed. How much goes through?
    Pairs,
    /// Open loop: messages are due at a fixed rate, whatever the server does. How long do they take?
    Rate,
    /// Everybody connects in the same moment. How long until they are in?
    Storm,
    /// Everybody is connected and sends, and the server is stopped and started again: how long until all are back, and is
    /// what they sent there, once?
    Restart,
    /// The same, but the server is ended with SIGKILL.
    Crash,
    /// Everybody is connected, all are cut off in the same moment, and the agent goes on talking to them: how long until all
    /// are back, and have they all that was said, once? The server stays, so it may be any.
    Reconnect,
}

impl Mode {
    /// Whether the server is ended on the way.
    pub(super) const fn ends_the_server(self) -> bool {
        matches!(self, Self::Restart | Self::Crash)
    }
}

/// What the clients speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Socket.IO, by websocket.
    #[default]
    Socketio,
    /// The shop's Channels-style websockets: a customer and an agent in each room.
    Storefront,
    /// The portal's: a customer and an agent in each room.
    Drivecash,
}

impl Protocol {
    /// Whether a connection is to one room.
    pub(super) const fn is_in_rooms(self) -> bool {
        !matches!(self, Self::Socketio)
    }

    /// Where the load is, as titles say it.
    pub(super) const fn place(self) -> &'static str {
        match self {
            Self::Socketio => "",
            Self::Storefront => " in rooms of the storefront",
            Self::Drivecash => " in rooms of drivecash",
        }
    }
}

/// Loads a server over real websockets and reports what it did with every message.
///
/// Without `--url`, each mode gets a fresh server on a scratch store, on a CPU of its own. Exit code 1 says that a message
/// was lost, doubled or out of order, a connection cut off, or a bound not kept; 2 that the run could not be done.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line, each of its own")]
pub struct BenchOptions {
    /// What to run; may be given several times [default: idle, pairs and rate].
    #[arg(long = "mode", value_enum)]
    pub modes: Vec<Mode>,
    /// What the clients speak. Modes `restart` and `crash` are for `socketio` alone.
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Protocol,
    /// Pairs of a sender and a receiver.
    #[arg(long, default_value_t = 50)]
    pub pairs: usize,
    /// Unconfirmed messages per sender in mode `pairs`.
    #[arg(long, default_value_t = 4)]
    pub window: usize,
    /// Messages per second over all pairs in mode `rate`, and of the agent in mode `reconnect`. A server that was not started
    /// here refuses what is beyond its `--send-rate`.
    #[arg(long, default_value_t = 1000)]
    pub rate: u64,
    /// How long modes `pairs` and `rate` measure, after the warm-up, and the agent talks in mode `reconnect`, from the cut.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// How long they run before that.
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub warmup: Duration,
    /// How long they wait afterwards for messages that have not come, and modes `restart`, `crash` and `reconnect` for clients
    /// that are not back.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub drain: Duration,
    /// The least bytes of a message's text; the stamp in it needs some 40.
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// Fan-in: all pairs send to one agent instead of a customer each. Channels-style clients always do.
    #[arg(long)]
    pub to_agent: bool,
    /// Further pairs beside those that are measured, with long messages, as many in a second as mode `rate` asks of the pairs.
    #[arg(long, default_value_t = 0)]
    pub beside: usize,
    /// The receivers of these never read.
    #[arg(long, requires = "beside")]
    pub stalled: bool,
    /// Connections in modes `idle`, `storm`, `restart`, `crash` and `reconnect`. Those of the agent come on top.
    #[arg(long, default_value_t = 5000)]
    pub connections: usize,
    /// Exit code 1 if in mode `restart`, `crash` or `reconnect` the last client is back later than so long after the server was
    /// stopped, or all were cut off.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub back_within: Option<Duration>,
    /// Whoever loses the connection tries again at once, and only then as the stock client does, which first waits 0.5 to 1.5 s
    /// and then longer, up to 5 s.
    #[arg(long)]
    pub at_once: bool,
    /// How long after the last connect mode `idle` reads the server's memory.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub settle: Duration,
    /// Connections that are being opened at the same time, where that is not what is measured.
    #[arg(long, default_value_t = 32)]
    pub connecting: usize,
    /// Loopback addresses to connect from (`127.0.1.1`, `127.0.1.2` ...): one has ports for some 28 000 connections.
    #[arg(long, default_value_t = 0)]
    pub sources: u8,
    /// Also writes the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Runs nothing: compares the figures of two such files.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["modes", "url", "json"])]
    pub compare: Vec<PathBuf>,
    /// Exit code 1 if the 99th percentile of a latency in B is more than so many times that in A, and `--noise`.
    #[arg(long, requires = "compare", value_name = "FACTOR")]
    pub within: Option<f64>,
    /// How much longer it may be whatever the factor: what a machine that does something else for a moment adds. The shorter
    /// the latencies are, the more of what `--within` should find this lets pass.
    #[arg(long, requires = "within", default_value = "2ms", value_parser = humantime::parse_duration)]
    pub noise: Duration,

    /// Loads the server that runs at this address, e.g. `http://127.0.0.1:3000`, instead of starting one.
    #[arg(long, requires_all = ["users", "jwt_secret"], conflicts_with_all = ["server", "mongodb_uri"])]
    pub url: Option<String>,
    /// Accounts of that server: on each line an id of 24 hex digits and, if not `user`, a role (`admin`).
    #[arg(long, requires = "url", value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// The secret that it signs tokens with.
    #[arg(long, requires = "url")]
    pub jwt_secret: Option<String>,
    /// Its process, if it runs on this machine, for its memory and CPU time.
    #[arg(long, requires = "url")]
    pub server_pid: Option<u32>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub rig: RigOptions,
    /// The CPU that the server is pinned to.
    #[arg(long, default_value_t = 0)]
    pub server_cpu: usize,
    /// The CPU that the generator is pinned to.
    #[arg(long, default_value_t = 1)]
    pub own_cpu: usize,
    /// Leaves both on all CPUs.
    #[arg(long)]
    pub no_pin: bool,
}

impl BenchOptions {
    /// The modes to run, in the order in which they were asked for.
    #[must_use]
    pub fn modes(&self) -> &[Mode] {
        if self.modes.is_empty() { &[Mode::Idle, Mode::Pairs, Mode::Rate] } else { &self.modes }
    }

    /// Holds the modes against the rest, before any of them has run.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let ends_it = self.modes().iter().any(|mode| mode.ends_the_server());
        ensure!(
            !ends_it || self.url.is_none(),
            "a server that was not started here cannot be restarted: leave --url out"
        );
        // What is not confirmed is sent again, and only here does an id keep that from being a second message.
        ensure!(
            !ends_it || !self.protocol.is_in_rooms(),
            "modes `restart` and `crash` speak Socket.IO alone: leave --protocol out"
        );
        Ok(())
    }

    /// How many customers a mode needs.
    #[must_use]
    pub fn customers(&self, mode: Mode) -> usize {
        match mode {
            Mode::Idle | Mode::Storm | Mode::Restart | Mode::Crash | Mode::Reconnect => self.connections,
            Mode::Pairs | Mode::Rate => self.customers_of_pairs() + self.in_a_pair() * self.beside,
        }
    }

    /// How many of them are in pairs.
    pub(super) fn customers_of_pairs(&self) -> usize {
        if self.to_agent { self.pairs } else { self.in_a_pair() * self.pairs }
    }

    /// How many customers are in a pair: in a room the other one is the agent.
    fn in_a_pair(&self) -> usize {
        if self.protocol.is_in_rooms() { 1 } else { 2 }
    }
}
