//! `deskline prove`, as CI holds it: `kill -9` of the server under load over all faces, again and again.

use clap::Parser;
use deskline::prove::{ProveOptions, prove};

use super::PROGRAM;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: ProveOptions,
}

/// Holds a proof with these flags, over at least so many acknowledged messages.
#[expect(clippy::print_stderr, reason = "tells how much was at stake, and the seed")]
pub(crate) async fn assert_proven(flags: &[&str], at_least: u64) {
    let arguments = ["prove", "--server", PROGRAM].iter().chain(flags);
    let proof = prove(&Cli::parse_from(arguments).options).await.unwrap();
    eprintln!("{}", proof.table());
    assert!(proof.holds(), "seed {}", proof.seed);
    assert!(proof.acknowledged >= at_least, "only {} messages, which proves little", proof.acknowledged);
}
