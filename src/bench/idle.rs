//! Many connections that say nothing, and what they cost.

use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use anyhow::ensure;
use futures_util::TryStreamExt;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::accounts::Target;
use super::line::{Line, Run};
use super::options::BenchOptions;
use super::procfs::resident_bytes;
use super::report::IdleReport;
use super::tally::Tally;

/// Bytes of buffer per connection and direction.
const BUFFER: usize = 1024;

/// Opens the connections, waits, and reports what the server's memory has grown by.
pub(super) async fn run(options: &BenchOptions, target: &Target) -> anyhow::Result<IdleReport> {
    ensure!(!target.accounts.is_empty(), "there are no accounts");
    let accounts = target.accounts.iter().cycle().take(options.idle).cloned().collect();
    let run = Run::new(0, Tally::new(0)?);
    let mut lines = JoinSet::new();
    let resident_before = target.pid.and_then(resident_bytes);
    let opening = Instant::now();
    let mut sockets = pin!(target.connect(options, accounts, BUFFER));
    while let Some(socket) = sockets.try_next().await? {
        lines.spawn_local(Line::new(socket, Rc::clone(&run), None));
    }
    let connecting = opening.elapsed();
    sleep(options.settle).await;
    let resident_after = target.pid.and_then(resident_bytes);
    let disconnects = run.tally.borrow().disconnects;
    Ok(IdleReport::new(options.idle, connecting, resident_before.zip(resident_after), disconnects))
}
