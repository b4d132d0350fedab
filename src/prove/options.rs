//! What a proof can be told.

use std::time::Duration;

use clap::Args;

use crate::rig::RigOptions;

/// Kills a server under load again and again, and compares what was acknowledged, what is kept and what everybody heard.
///
/// People with several tabs each talk over all protocols, lose their connections, send twice what they are not sure of, and
/// come back. Exit code 1 says that something was lost, doubled, out of order or shown to the wrong person; 2 that the proof
/// could not be held.
#[derive(Args, Clone, Debug)]
pub struct ProveOptions {
    /// How often the server is killed with SIGKILL, at random moments, and started again.
    #[arg(long, default_value_t = 10, value_name = "TIMES")]
    pub kill: u32,
    /// Customers; everyone has a conversation with the desk.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub customers: u32,
    /// The longest that the server runs between two kills. It is killed after a random part of it.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    pub life: Duration,
    /// The longest that a client thinks between two messages.
    #[arg(long, default_value = "20ms", value_parser = humantime::parse_duration)]
    pub think: Duration,
    /// What all random choices follow from; a failed proof names its own [default: a random one].
    #[arg(long)]
    pub seed: Option<u64>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub rig: RigOptions,
}
