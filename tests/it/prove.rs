//! `deskline prove`, as CI holds it: `kill -9` of the server under load over all faces, again and again.

use clap::Parser;
use deskline::prove::{ProveOptions, prove};

use crate::support::PROGRAM;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: ProveOptions,
}

#[expect(clippy::print_stderr, reason = "tells how much was at stake, and the seed")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_however_often_the_server_is_killed() {
    let arguments = ["prove", "--kill", "20", "--life", "600ms", "--server", PROGRAM];
    let proof = prove(&Cli::parse_from(arguments).options).await.unwrap();
    eprintln!("{}", proof.table());
    assert!(proof.holds(), "seed {}", proof.seed);
    assert!(proof.acknowledged >= 1000, "only {} messages, which proves little", proof.acknowledged);
}
