//! `deskline prove`, as CI holds it: `kill -9` of the server under load over all faces, again and again.

use clap::Parser;
use deskline::lab::prove::{ProveOptions, prove};

use super::PROGRAM;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: ProveOptions,
}

/// How often a proof that holds is held again, with twice the time, because too little was acknowledged on a slow machine.
const AGAIN: u32 = 3;

/// Holds a proof with these flags, over at least so many acknowledged messages.
#[expect(clippy::print_stderr, reason = "tells how much was at stake, and the seed")]
pub(crate) async fn assert_proven(flags: &[&str], at_least: u64) {
    let arguments = ["prove", "--server", PROGRAM].iter().chain(flags);
    let mut options = Cli::parse_from(arguments).options;
    for _ in 0..=AGAIN {
        let proof = prove(&options).await.unwrap();
        eprintln!("{}", proof.table());
        assert!(proof.holds(), "seed {}", proof.seed);
        if proof.acknowledged >= at_least {
            return;
        }
        options.life *= 2;
    }
    panic!("fewer than {at_least} messages each time, which proves little");
}
