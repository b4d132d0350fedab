//! Starts Deskline, or runs one of its commands.

use std::process::ExitCode;

/// jemalloc returns memory to the system after a flood; glibc's allocator does not (figures: docs/RELIABILITY.md).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    deskline::cli::main()
}
