//! Measures idle connections.

use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use anyhow::ensure;
use futures_util::TryStreamExt;
use tokio::task::JoinSet;

use super::line::{Line, Run};
use super::options::BenchOptions;
use super::report::IdleReport;
use super::tally::Tally;
use super::target::{Door, Target};
use crate::rig::Bar;
use crate::rig::client::Dial;
use crate::rig::procfs::resident_bytes;

/// Opens the connections, waits, and reports what the server's memory has grown by.
pub(super) async fn run(options: &BenchOptions, target: &Target) -> anyhow::Result<IdleReport> {
    let customers = target.customers_up_to(options.connections);
    ensure!(!customers.is_empty(), "there are no accounts with role user");
    let doors = target.doors(options, &customers).await?;
    let doors = doors.iter().cycle().take(options.connections).cloned().collect();
    let run = Run::new(options.protocol, 0, Tally::new(0)?);
    let resident_before = target.pid.and_then(resident_bytes);
    let opening = Instant::now();
    let _lines = fill(options, target, doors, &run).await?;
    let connecting = opening.elapsed();
    Bar::wait("Settling", options.settle).await;
    let resident_after = target.pid.and_then(resident_bytes);
    let disconnects = run.tally.borrow().disconnects;
    Ok(IdleReport::new(options, connecting, resident_before.zip(resident_after), disconnects))
}

/// Opens connections that only listen.
pub(super) async fn fill(
    options: &BenchOptions,
    target: &Target,
    doors: Vec<Door>,
    run: &Rc<Run>,
) -> anyhow::Result<JoinSet<()>> {
    let bar = Bar::of("Connecting", doors.len() as u64);
    let how = Dial::slim();
    let mut sockets = pin!(target.connect(options, doors, &how));
    let mut lines = JoinSet::new();
    while let Some(socket) = sockets.try_next().await? {
        lines.spawn_local(Line::new(socket, Rc::clone(run), None));
        bar.step();
    }
    Ok(lines)
}
