//! A load generator that speaks to any server of this protocol over real websockets.
//!
//! It runs on one thread, so that it needs one CPU and leaves the others to the server. Every message carries its run, its
//! pair, its number and the time it was sent, so that each is followed from the sender to the receiver and back.
//!
//! Reading order: [`options`], [`wire`], [`mod@line`], [`tally`], then [`traffic`] and [`idle`], [`report`], [`server`].
//! [`client`] is a client for tests.

use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use tokio::task::LocalSet;

mod accounts;
pub mod client;
mod idle;
mod line;
mod options;
mod procfs;
mod report;
mod server;
mod tally;
#[cfg(test)]
mod tests;
mod traffic;
mod wire;

pub use options::{BenchOptions, Mode};
pub use report::{IdleReport, Quantiles, Report, TrafficReport};

use accounts::{Target, read_accounts};
use server::OwnServer;

/// Runs the modes that are asked for one after another and prints what they find. Tells whether every message was told
/// exactly once and in order.
///
/// # Errors
/// If the server cannot be started, reached or stopped, or a file cannot be read or written.
pub fn run(options: &BenchOptions) -> anyhow::Result<bool> {
    let mut options = options.clone();
    options.no_pin = options.no_pin || !pin(options.own_cpu);
    // Children inherit the limit. What cannot be raised shows when a connection is refused.
    let _limit = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let mut reports = Vec::new();
    for &mode in options.modes() {
        reports.push(LocalSet::new().block_on(&runtime, run_mode(&options, mode))?);
    }
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&reports).context("writing the figures")?;
        fs::write(file, json).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(reports.iter().all(Report::is_clean))
}

async fn run_mode(options: &BenchOptions, mode: Mode) -> anyhow::Result<Report> {
    if let (Some(url), Some(users)) = (&options.url, &options.users) {
        let target = Target { url: url.clone(), pid: options.server_pid, accounts: read_accounts(users)? };
        return load(options, mode, &target).await;
    }
    let server = OwnServer::start(options).await?;
    let report = load(options, mode, &server.target).await?;
    server.stop()?;
    Ok(report)
}

async fn load(options: &BenchOptions, mode: Mode, target: &Target) -> anyhow::Result<Report> {
    let report = match mode {
        Mode::Idle => Report::Idle(idle::run(options, target).await?),
        Mode::Pairs | Mode::Rate => Report::Traffic(Box::new(traffic::run(options, mode, target).await?)),
    };
    writeln!(io::stdout(), "{}", report.table())?;
    Ok(report)
}

/// Pins this process, before it has a second thread, to one CPU; tells whether that is possible here.
fn pin(cpu: usize) -> bool {
    let pid = std::process::id().to_string();
    let mut taskset = Command::new("taskset");
    taskset.args(["-c", "-p", &cpu.to_string(), &pid]).stdout(Stdio::null()).stderr(Stdio::null());
    taskset.status().is_ok_and(|status| status.success())
}
