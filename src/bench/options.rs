//! What a load run can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// A kind of load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Many connections that say nothing: what does one cost in memory?
    Idle,
    /// Closed loop: each sender keeps a fixed number of messages unconfirmed. How much goes through?
    Pairs,
    /// Open loop: messages are due at a fixed rate, whatever the server does. How long do they take?
    Rate,
}

/// Loads a server over real websockets and reports what it did with every message.
///
/// Without `--url`, each mode gets a fresh server on a scratch data file, on a CPU of its own.
#[derive(Args, Clone, Debug)]
pub struct BenchOptions {
    /// What to run; may be given several times. All modes by default.
    #[arg(long = "mode", value_enum)]
    pub modes: Vec<Mode>,
    /// Pairs of a sender and a receiver.
    #[arg(long, default_value_t = 100)]
    pub pairs: usize,
    /// Unconfirmed messages per sender in mode `pairs`.
    #[arg(long, default_value_t = 8)]
    pub window: usize,
    /// Messages per second over all pairs in mode `rate`.
    #[arg(long, default_value_t = 5000)]
    pub rate: u64,
    /// How long modes `pairs` and `rate` measure, after the warm-up.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// How long they run before that.
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub warmup: Duration,
    /// How long they wait afterwards for messages that have not come.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub drain: Duration,
    /// The least bytes of a message's text; the stamp in it needs some 40.
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// All pairs send to one agent instead of a customer each.
    #[arg(long)]
    pub to_agent: bool,
    /// Connections in mode `idle`.
    #[arg(long, default_value_t = 2000)]
    pub idle: usize,
    /// How long after the last connect mode `idle` reads the server's memory.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub settle: Duration,
    /// Connections that are being opened at the same time.
    #[arg(long, default_value_t = 32)]
    pub connecting: usize,
    /// Loopback addresses to connect from (`127.0.1.1`, `127.0.1.2` ...): one has ports for some 28 000 connections.
    #[arg(long, default_value_t = 0)]
    pub sources: u8,
    /// Also writes the figures to this file, as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,

    /// Loads the server that runs at this address, e.g. `http://127.0.0.1:3000`, instead of starting one.
    #[arg(long, requires = "users")]
    pub url: Option<String>,
    /// Accounts of that server: on each line an id of 24 hex digits and, if not `user`, a role (`admin`).
    #[arg(long, requires = "url")]
    pub users: Option<PathBuf>,
    /// The secret that tokens are signed with.
    #[arg(long, default_value = "a-secret-for-load-runs-and-nothing-else")]
    pub jwt_secret: String,
    /// That server's process, if it runs on this machine, for its memory and CPU time.
    #[arg(long)]
    pub server_pid: Option<u32>,

    /// The server to start.
    #[arg(long, default_value = "target/release/deskline")]
    pub server: PathBuf,
    /// A further argument for it; may be given several times.
    #[arg(long, allow_hyphen_values = true)]
    pub server_arg: Vec<String>,
    /// Where scratch data files go; the system's folder for such things by default, which may be in memory.
    #[arg(long)]
    pub scratch: Option<PathBuf>,
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

    /// How many customers the chosen modes need.
    #[must_use]
    pub const fn customers(&self) -> usize {
        if self.to_agent { self.pairs } else { 2 * self.pairs }
    }
}
