//! Options of `deskline prove`.

use std::time::Duration;

use clap::Args;

use crate::lab::testkit::ServerOptions;

/// Kill a server under load repeatedly and check that no message is lost or duplicated.
///
/// Clients of all protocols, some with several tabs, send messages, lose their connections, reconnect, and retry unconfirmed
/// messages. At the end, the acknowledgements, the stored logs and what each client received are compared. Exit code 1: something
/// was lost, duplicated, out of order or shown to the wrong person; 2: the run itself failed.
#[derive(Args, Clone, Debug)]
pub struct ProveOptions {
    /// Number of times the server is killed with SIGKILL and restarted.
    #[arg(long, default_value_t = 10, value_name = "TIMES")]
    pub kill: u32,
    /// Number of customers; each has a conversation with the desk.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub customers: u32,
    /// Longest time between two kills; each one follows after a random part of it.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    pub life: Duration,
    /// Longest pause of a client between two messages.
    #[arg(long, default_value = "20ms", value_parser = humantime::parse_duration)]
    pub think: Duration,
    /// Seed of all random choices; a failed run prints its own [default: random].
    #[arg(long)]
    pub seed: Option<u64>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub server_options: ServerOptions,
}
