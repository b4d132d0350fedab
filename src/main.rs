//! Starts Deskline, or runs one of its commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    deskline::cli::main()
}
