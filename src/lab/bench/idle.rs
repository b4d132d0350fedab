//! Measures idle connections.

use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use anyhow::ensure;
use futures_util::TryStreamExt;
use tokio::task::JoinSet;

use super::connection::{Connection, Run};
use super::options::BenchOptions;
use super::report::IdleReport;
use super::tally::Tally;
use super::target::{Endpoint, Target};
use crate::cli::Progress;
use crate::lab::testkit::procfs::resident_bytes;
use crate::lab::testkit::socketio::Dial;

/// Opens the connections, waits, and reports the growth of the server's memory.
pub(super) async fn run(options: &BenchOptions, target: &Target) -> anyhow::Result<IdleReport> {
    let customers = target.customers_up_to(options.connections);
    ensure!(!customers.is_empty(), "there are no accounts with role user");
    let endpoints = target.endpoints(options, &customers).await?;
    let endpoints = endpoints.iter().cycle().take(options.connections).cloned().collect();
    let run = Run::new(options.protocol, 0, Tally::new(0)?);
    let resident_before = target.pid.and_then(resident_bytes);
    let opening = Instant::now();
    let _lines = fill(options, target, endpoints, &run).await?;
    let connecting = opening.elapsed();
    Progress::wait("Settling", options.settle).await;
    let resident_after = target.pid.and_then(resident_bytes);
    let disconnects = run.tally.borrow().disconnects;
    Ok(IdleReport::new(options, connecting, resident_before.zip(resident_after), disconnects))
}

/// Opens connections that only receive.
pub(super) async fn fill(
    options: &BenchOptions,
    target: &Target,
    endpoints: Vec<Endpoint>,
    run: &Rc<Run>,
) -> anyhow::Result<JoinSet<()>> {
    let bar = Progress::of("Connecting", endpoints.len() as u64);
    let how = Dial::slim();
    let mut sockets = pin!(target.connect(options, endpoints, &how));
    let mut tasks = JoinSet::new();
    while let Some(socket) = sockets.try_next().await? {
        tasks.spawn_local(Connection::new(socket, Rc::clone(run), None));
        bar.step();
    }
    Ok(tasks)
}
