//! `deskline prove` as a test: the server is killed repeatedly under load over all faces.

use clap::Parser;
use deskline::lab::prove::{ProveOptions, prove};

use super::PROGRAM;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: ProveOptions,
}

/// How often a proof with too few messages is repeated, with twice the time, on a slow machine.
const AGAIN: u32 = 3;

/// Runs a proof with these flags and at least this many acknowledged messages.
#[expect(clippy::print_stderr, reason = "shows the number of messages, and the seed")]
pub(crate) async fn assert_proven(flags: &[&str], at_least: u64) {
    let arguments = ["prove", "--server", PROGRAM].iter().chain(flags);
    let mut options = Cli::parse_from(arguments).options;
    for _ in 0..=AGAIN {
        let proof = prove(&options).await.unwrap();
        eprintln!("{}", proof.table());
        assert!(!proof.is_violated(), "seed {}", proof.seed);
        if proof.holds() && proof.acknowledged >= at_least {
            return;
        }
        options.life *= 2;
    }
    panic!("fewer than {at_least} messages in each run, which proves too little");
}
