//! Options of `deskline bench`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};

use crate::lab::testkit::ServerOptions;

/// A kind of load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Idle connections: memory per connection.
    Idle,
    /// Closed loop, a fixed number of unconfirmed messages per sender: throughput.
    Pairs,
    /// Open loop, messages at a fixed rate: latency.
    Rate,
    /// All clients connect at the same moment: time until all are connected.
    Storm,
    /// The server is stopped and restarted while clients send: time until all are back; each message must be stored once.
    Restart,
    /// Like `restart`, but the server is killed with SIGKILL.
    Crash,
    /// All connections are cut at once while the agent keeps sending: time until all are back; each message must arrive once. Works
    /// with any server, since it keeps running.
    Reconnect,
    /// Handshakes from one address over all connections, as fast as they are answered, and never continued: memory, whether it is
    /// returned within a minute, and how long another address takes to connect. With `--url`, the server must trust this machine
    /// as a proxy.
    Flood,
}

impl Mode {
    /// Whether the server is ended on the way.
    pub(super) const fn ends_the_server(self) -> bool {
        matches!(self, Self::Restart | Self::Crash)
    }
}

/// Protocol of the clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Socket.IO over websockets.
    #[default]
    Socketio,
    /// Websockets of the storefront: a customer and an agent in each conversation.
    Storefront,
    /// Websockets of the portal: a customer and an agent in each conversation.
    Drivecash,
}

impl Protocol {
    /// Whether a connection is to one room.
    pub(super) const fn is_channels(self) -> bool {
        !matches!(self, Self::Socketio)
    }

    /// The end of a title: where the load is.
    pub(super) const fn title_suffix(self) -> &'static str {
        match self {
            Self::Socketio => "",
            Self::Storefront => " in rooms of the storefront",
            Self::Drivecash => " in rooms of drivecash",
        }
    }
}

/// Measure a server under load.
///
/// Follows every message over real websockets. Without `--url`, each mode starts a fresh server on a scratch store, pinned to its own
/// CPU. Exit code 1: a message was lost, duplicated or out of order, a connection was cut, or a bound was exceeded; 2: the run itself
/// failed.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line, each of its own")]
pub struct BenchOptions {
    /// Kind of load; may be given several times [default: idle, pairs and rate].
    #[arg(long = "mode", value_enum)]
    pub modes: Vec<Mode>,
    /// Protocol of the clients. Modes `restart` and `crash` support only `socketio`.
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Protocol,
    /// Number of pairs of a sender and a receiver.
    #[arg(long, default_value_t = 50)]
    pub pairs: usize,
    /// Unconfirmed messages per sender in mode `pairs`.
    #[arg(long, default_value_t = 4)]
    pub window: usize,
    /// Messages per second: of all pairs in mode `rate`, of the agent in mode `reconnect`. With `--url`, the server's own `--send-rate`
    /// still applies.
    #[arg(long, default_value_t = 1000)]
    pub rate: u64,
    /// Measured time in modes `pairs` and `rate`, after the warm-up; in mode `flood`, how long it lasts; in mode `reconnect`, how long the
    /// agent keeps sending after the cut.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// Warm-up before the measurement.
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub warmup: Duration,
    /// How long to wait at the end for missing messages; in modes `restart`, `crash` and `reconnect`, for clients that are not back.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub drain: Duration,
    /// Size of a message's text in bytes; at least some 40 are needed for its stamp.
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// Let all pairs send to one agent (fan-in) instead of to a customer each. The other protocols always do.
    #[arg(long)]
    pub to_agent: bool,
    /// Additional pairs in the background that exchange long messages, at the same total rate as the measured pairs.
    #[arg(long = "beside", default_value_t = 0, value_name = "PAIRS")]
    pub background: usize,
    /// The receivers of the background pairs never read.
    #[arg(long, requires = "background")]
    pub stalled: bool,
    /// An additional client that sends 1000 events a second in modes `pairs` and `rate`. A server started here keeps its default
    /// `--send-rate` then.
    #[arg(long)]
    pub flooded: bool,
    /// Number of connections in modes `idle`, `storm`, `restart`, `crash`, `reconnect` and `flood`, not counting the agent's.
    #[arg(long, default_value_t = 5000)]
    pub connections: usize,
    /// Fail if the last client is back later than this after the stop or the cut, in modes `restart`, `crash` and `reconnect`.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub back_within: Option<Duration>,
    /// Reconnect at once the first time. The stock client waits 0.5 to 1.5 s before its first attempt, then up to 5 s.
    #[arg(long)]
    pub at_once: bool,
    /// How long mode `idle` waits after the last connect before it reads the server's memory.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub settle: Duration,
    /// Number of connections opened concurrently, in modes that do not measure connecting.
    #[arg(long, default_value_t = 32)]
    pub connecting: usize,
    /// Number of loopback addresses to connect from (`127.0.1.1`, `127.0.1.2` ...); each has ports for some 28000 connections.
    #[arg(long, default_value_t = 0)]
    pub sources: u8,
    /// Also write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Compare two files written with `--json` instead of running a load.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["modes", "url", "json"])]
    pub compare: Vec<PathBuf>,
    /// Fail if the 99th percentile of a latency in B exceeds FACTOR times that in A, plus `--noise`.
    #[arg(long, requires = "compare", value_name = "FACTOR")]
    pub within: Option<f64>,
    /// Tolerance added by `--within` for a busy machine. With short latencies, a large value hides real differences.
    #[arg(long, requires = "within", default_value = "2ms", value_parser = humantime::parse_duration)]
    pub noise: Duration,

    /// Use the running server at this URL, e.g. `http://127.0.0.1:3000`, instead of starting one.
    #[arg(long, requires_all = ["users", "jwt_secret"], conflicts_with_all = ["server", "mongodb_uri"])]
    pub url: Option<String>,
    /// File with accounts of that server: one id of 24 hex digits per line, followed by the role if it is not `user`.
    #[arg(long, requires = "url", value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// The secret that the server signs tokens with.
    #[arg(long, requires = "url")]
    pub jwt_secret: Option<String>,
    /// Process id of that server, to read its memory and CPU time.
    #[arg(long, requires = "url")]
    pub server_pid: Option<u32>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub server_options: ServerOptions,
    /// CPU to pin the server to.
    #[arg(long, default_value_t = 0)]
    pub server_cpu: usize,
    /// CPU to pin the load generator to.
    #[arg(long, default_value_t = 1)]
    pub own_cpu: usize,
    /// Do not pin the server and the load generator.
    #[arg(long)]
    pub no_pin: bool,
}

impl BenchOptions {
    /// The modes to run, in the order given.
    #[must_use]
    pub fn modes(&self) -> &[Mode] {
        if self.modes.is_empty() { &[Mode::Idle, Mode::Pairs, Mode::Rate] } else { &self.modes }
    }

    /// Checks the options against each other before a mode runs.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let ends_it = self.modes().iter().any(|mode| mode.ends_the_server());
        ensure!(!ends_it || self.url.is_none(), "modes `restart` and `crash` cannot be used with --url");
        // What is not confirmed is sent again, and only here does an id keep that from being a second message.
        ensure!(
            !ends_it || !self.protocol.is_channels(),
            "modes `restart` and `crash` support only --protocol socketio"
        );
        Ok(())
    }

    /// How a server is started for a mode.
    pub(super) const fn server_flags(&self, mode: Mode) -> &'static [&'static str] {
        match mode {
            Mode::Flood => &["--trusted-proxy", "127.0.0.0/8"],
            Mode::Pairs | Mode::Rate if self.flooded => &[],
            _ => &["--send-rate", "0"],
        }
    }

    /// How many customers a mode needs.
    #[must_use]
    pub fn customers(&self, mode: Mode) -> usize {
        match mode {
            Mode::Idle | Mode::Storm | Mode::Restart | Mode::Crash | Mode::Reconnect => self.connections,
            Mode::Flood => 0,
            Mode::Pairs | Mode::Rate => {
                self.customers_of_pairs() + self.in_a_pair() * self.background + usize::from(self.flooded)
            }
        }
    }

    /// How many of them are in pairs.
    pub(super) fn customers_of_pairs(&self) -> usize {
        if self.to_agent { self.pairs } else { self.in_a_pair() * self.pairs }
    }

    /// How many customers are in a pair: in a room the other one is the agent.
    fn in_a_pair(&self) -> usize {
        if self.protocol.is_channels() { 1 } else { 2 }
    }
}
