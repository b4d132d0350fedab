//! `deskline bench`: a load generator over real websockets, for any server that speaks these protocols.
//!
//! It runs on one thread, so that it uses one CPU and leaves the others to the server. Every message carries its run, pair,
//! number and send time, so that it can be followed from the sender to the receiver and back.
//!
//! Reading order: [`options`], [`target`], [`conversation`], [`pairs`], [`wire`], [`mod@connection`], [`tally`], then one file per kind of
//! load ([`traffic`], [`background`], [`flooder`], [`idle`], [`storm`], [`flood`], [`back_off`] with [`restart`] and [`reconnect`]),
//! [`report`] and [`compare`].

use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use tokio::task::LocalSet;

mod back_off;
mod background;
mod compare;
mod connection;
mod conversation;
mod flood;
mod flooder;
mod idle;
mod options;
mod pairs;
mod reconnect;
mod report;
mod restart;
mod storm;
mod tally;
mod target;
#[cfg(test)]
mod tests;
mod traffic;
mod wire;

pub use flooder::Flooded;
pub use options::{BenchOptions, Mode, Protocol};
pub use report::{
    Answers, BackgroundReport, FloodReport, IdleReport, Memory, Quantiles, ReconnectReport, Report, RestartReport,
    StormReport, TrafficReport,
};

use crate::domain::Role;
use crate::lab::testkit::{ChildServer, SECRET, Scratch};
use compare::Bound;
use target::{Target, read_accounts};

/// Runs the requested modes in sequence and prints their figures, or compares two runs. Returns whether every message was delivered
/// exactly once and in order, and all bounds were met.
///
/// Has to be called before this process has a second thread, because it pins the process to one CPU.
///
/// # Errors
/// If the server cannot be started, reached or stopped, or a file cannot be read or written.
pub fn run(options: &BenchOptions) -> anyhow::Result<bool> {
    if let [before, after] = options.compare.as_slice() {
        let within = options.within.map(|factor| Bound { factor, noise: options.noise });
        let compared = compare::compare(before, after, within)?;
        write!(io::stdout(), "{}", compared.table)?;
        return Ok(compared.is_within);
    }
    options.check()?;
    let mut options = options.clone();
    options.no_pin = options.no_pin || !pin(options.own_cpu);
    // Children inherit the limit. If it cannot be raised, connections fail later, with an error.
    let _limit = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let mut reports = Vec::new();
    for &mode in options.modes() {
        let report = LocalSet::new().block_on(&runtime, run_mode(&options, mode))?;
        writeln!(io::stdout(), "{}", report.table())?;
        reports.push(report);
    }
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&reports).context("writing the figures")?;
        fs::write(file, json).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(reports.iter().all(Report::is_clean))
}

async fn run_mode(options: &BenchOptions, mode: Mode) -> anyhow::Result<Report> {
    if let (Some(url), Some(users), Some(secret)) = (&options.url, &options.users, &options.jwt_secret) {
        let (pid, accounts) = (options.server_pid, read_accounts(users)?);
        let target = Target { url: url.clone(), secret: secret.clone(), pid, accounts };
        return load(options, mode, &target).await;
    }
    let customers = (1..=options.customers(mode)).map(|index| (format!("bench-{index}"), Role::Customer));
    let people: Vec<_> = [("bench-agent".to_owned(), Role::Admin)].into_iter().chain(customers).collect();
    let (scratch, accounts) = Scratch::make(&options.server_options, &people).await?;
    let cpu = (!options.no_pin).then_some(options.server_cpu);
    let mut server = ChildServer::start(&options.server_options, &scratch, options.server_flags(mode), cpu).await?;
    let (url, pid) = (server.url.clone(), server.pid());
    let target = Target { url, secret: SECRET.to_owned(), pid, accounts };
    let report = if mode.ends_the_server() {
        Report::Restart(restart::run(options, mode, &target, &mut server, &scratch).await?)
    } else {
        let report = load(options, mode, &target).await?;
        server.stop().await?;
        report
    };
    scratch.remove().await?;
    Ok(report)
}

async fn load(options: &BenchOptions, mode: Mode, target: &Target) -> anyhow::Result<Report> {
    Ok(match mode {
        Mode::Idle => Report::Idle(idle::run(options, target).await?),
        Mode::Storm | Mode::Restart | Mode::Crash => Report::Storm(storm::run(options, target).await?),
        Mode::Reconnect => Report::Reconnect(Box::new(reconnect::run(options, target).await?)),
        Mode::Flood => Report::Flood(Box::new(flood::run(options, target).await?)),
        Mode::Pairs | Mode::Rate => Report::Traffic(Box::new(traffic::run(options, mode, target).await?)),
    })
}

/// Pins this process to one CPU. Returns whether that worked.
fn pin(cpu: usize) -> bool {
    let pid = std::process::id().to_string();
    let mut taskset = Command::new("taskset");
    taskset.args(["-c", "-p", &cpu.to_string(), &pid]).stdout(Stdio::null()).stderr(Stdio::null());
    taskset.status().is_ok_and(|status| status.success())
}
