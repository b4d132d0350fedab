//! All clients connect at the same moment.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::connection::since;
use super::options::BenchOptions;
use super::report::StormReport;
use super::tally::histogram;
use super::target::Target;
use crate::cli::Progress;
use crate::lab::testkit::socketio::Dial;

/// Timeout of an attempt to connect.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens all connections at once and reports how long each took to be authenticated.
pub(super) async fn run(options: &BenchOptions, target: &Target) -> anyhow::Result<StormReport> {
    let endpoints = target.endpoints(options, &target.customers(options.connections)?).await?;
    let target = Rc::new(target.clone());
    let mut attempts = JoinSet::new();
    let began = Instant::now();
    for endpoint in endpoints {
        let target = Rc::clone(&target);
        attempts.spawn_local(async move {
            let attempt = tokio::time::timeout(PATIENCE, target.enter(&endpoint, &Dial::slim())).await;
            attempt.ok()?.ok().map(|socket| (socket, since(began)))
        });
    }
    let bar = Progress::of("Connecting", options.connections as u64);
    let (mut sockets, mut latency) = (Vec::new(), histogram()?);
    while let Some(attempt) = attempts.join_next().await {
        bar.step();
        if let Some((socket, nanos)) = attempt? {
            latency.saturating_record(nanos);
            sockets.push(socket);
        }
    }
    Ok(StormReport::new(options, sockets.len(), began.elapsed(), &latency))
}
