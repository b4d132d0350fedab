//! Starts Deskline, or runs one of its commands.

use std::process::ExitCode;

/// Returns memory to the system once a flood is over, which glibc's allocator does not (figures: docs/RELIABILITY.md).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    deskline::cli::main()
}
