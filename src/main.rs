//! Starts Deskline, or runs one of its commands.

use std::process::ExitCode;

/// Gives memory back after a burst, which the system's own allocator on Linux does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    deskline::cli::main()
}
