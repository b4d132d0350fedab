//! Loads a server: `cargo run --release --example bench -- --help`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use deskline::bench::{BenchOptions, run};

/// Loads a server and reports what it did with every message. Exit code 1 says that a message was lost, doubled or out of
/// order, or a connection cut off; 2 that the run could not be done.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: BenchOptions,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _unheard = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}
