//! Everybody connects in the same moment.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::line::since;
use super::options::BenchOptions;
use super::report::StormReport;
use super::tally::histogram;
use super::target::{Door, Target};
use crate::rig::Bar;
use crate::rig::client::Dial;

/// How long one attempt may take until it is counted as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens all connections at once, and reports how long each took until it was authenticated.
pub(super) async fn run(options: &BenchOptions, target: &Target) -> anyhow::Result<StormReport> {
    let accounts = target.customers(options.connections)?;
    let target = Rc::new(target.clone());
    let mut entering = JoinSet::new();
    let began = Instant::now();
    for account in accounts {
        let target = Rc::clone(&target);
        entering.spawn_local(async move {
            let (door, how) = (Door::Socketio(account), Dial::slim());
            let entered = tokio::time::timeout(PATIENCE, target.enter(&door, &how)).await;
            entered.ok()?.ok().map(|socket| (socket, since(began)))
        });
    }
    let bar = Bar::of("Connecting", options.connections as u64);
    let (mut sockets, mut latency) = (Vec::new(), histogram()?);
    while let Some(entered) = entering.join_next().await {
        bar.step();
        if let Some((socket, nanos)) = entered? {
            latency.saturating_record(nanos);
            sockets.push(socket);
        }
    }
    Ok(StormReport::new(options.connections, sockets.len(), began.elapsed(), &latency))
}
