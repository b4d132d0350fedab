//! What a run found, for people and for machines.

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::options::{BenchOptions, Mode};
use super::tally::Tally;

/// What a stretch of time cost, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Spent {
    /// By the clock.
    pub(super) seconds: f64,
    /// CPU time of the server, if its process is known.
    pub(super) server_cpu: Option<f64>,
    /// CPU time of the generator.
    pub(super) own_cpu: Option<f64>,
}

/// A latency's distribution, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Quantiles {
    /// Half are faster.
    pub p50: f64,
    /// 90 % are faster.
    pub p90: f64,
    /// 99 % are faster.
    pub p99: f64,
    /// 99.9 % are faster.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

impl From<&Histogram<u64>> for Quantiles {
    fn from(nanos: &Histogram<u64>) -> Self {
        let at = |quantile| float(nanos.value_at_quantile(quantile)) / 1e6;
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: float(nanos.max()) / 1e6 }
    }
}

/// What a run of messages found.
#[derive(Clone, Debug, Serialize)]
pub struct TrafficReport {
    /// [`Mode::Pairs`] or [`Mode::Rate`].
    pub mode: Mode,
    /// What the load was.
    pub title: String,
    /// How many connections there were.
    pub connections: usize,
    /// Connected and authenticated per second.
    pub connects_per_second: f64,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Messages that reached their receiver, per second.
    pub delivered_per_second: f64,
    /// From sending to `message-sent`.
    pub confirmed_ms: Quantiles,
    /// From sending to `receive-message`.
    pub delivered_ms: Quantiles,
    /// From when a message was due to when it was sent; part of both latencies.
    pub pacing_ms: Quantiles,
    /// Messages sent, the warm-up included, as all counts below.
    pub sent: u64,
    /// Due, and never sent: the server did not read.
    pub unsent: u64,
    /// Sent, and never received.
    pub lost: u64,
    /// Sent, and never confirmed.
    pub unconfirmed: u64,
    /// Received or confirmed again.
    pub doubled: u64,
    /// Received or confirmed after a later one of the same pair.
    pub out_of_order: u64,
    /// `error` events.
    pub refused: u64,
    /// The first of them.
    pub first_refusal: Option<String>,
    /// Connections that the server ended.
    pub disconnects: u64,
    /// CPU seconds of the server for 100 000 delivered messages.
    pub server_cpu_per_100k: Option<f64>,
    /// Share of one CPU that the server used.
    pub server_cpu_share: Option<f64>,
    /// Share of one CPU that the generator used; near 1 it measures itself.
    pub own_cpu_share: Option<f64>,
}

impl TrafficReport {
    pub(super) fn new(
        options: &BenchOptions,
        mode: Mode,
        tally: &Tally,
        asked: u64,
        connections: usize,
        connecting: Duration,
        spent: Spent,
    ) -> Self {
        let to = if options.to_agent { " to one agent" } else { "" };
        let load = if mode == Mode::Rate {
            format!("{}/s", options.rate)
        } else {
            format!("{} in flight each", options.window)
        };
        let in_window = float(tally.delivered.in_window);
        Self {
            mode,
            title: format!("{} pairs{to}, {load}", options.pairs),
            connections,
            connects_per_second: count(connections) / connecting.as_secs_f64(),
            seconds: spent.seconds,
            delivered_per_second: in_window / options.duration.as_secs_f64(),
            confirmed_ms: Quantiles::from(&tally.confirmed.latency),
            delivered_ms: Quantiles::from(&tally.delivered.latency),
            pacing_ms: Quantiles::from(&tally.pacing),
            sent: tally.sent,
            unsent: asked.saturating_sub(tally.sent),
            lost: tally.sent.saturating_sub(tally.delivered.come),
            unconfirmed: tally.sent.saturating_sub(tally.confirmed.come),
            doubled: tally.delivered.doubled + tally.confirmed.doubled,
            out_of_order: tally.delivered.out_of_order + tally.confirmed.out_of_order,
            refused: tally.refused,
            first_refusal: tally.first_refusal.clone(),
            disconnects: tally.disconnects,
            server_cpu_per_100k: spent.server_cpu.map(|cpu| cpu / in_window * 1e5),
            server_cpu_share: spent.server_cpu.map(|cpu| cpu / spent.seconds),
            own_cpu_share: spent.own_cpu.map(|cpu| cpu / spent.seconds),
        }
    }
}

/// What idle connections cost.
#[derive(Clone, Debug, Serialize)]
pub struct IdleReport {
    /// [`Mode::Idle`].
    pub mode: Mode,
    /// What the load was.
    pub title: String,
    /// How many connections there were.
    pub connections: usize,
    /// Connected and authenticated per second.
    pub connects_per_second: f64,
    /// The server's resident bytes before the first connection and some time after the last, if its process is known.
    pub resident_bytes: Option<(u64, u64)>,
    /// What they grew by, for each connection.
    pub bytes_per_connection: Option<f64>,
    /// Connections that the server ended.
    pub disconnects: u64,
}

impl IdleReport {
    pub(super) fn new(
        connections: usize,
        connecting: Duration,
        resident: Option<(u64, u64)>,
        disconnects: u64,
    ) -> Self {
        Self {
            mode: Mode::Idle,
            title: format!("{connections} idle connections"),
            connections,
            connects_per_second: count(connections) / connecting.as_secs_f64(),
            resident_bytes: resident,
            bytes_per_connection: resident
                .map(|(before, after)| float(after.saturating_sub(before)) / count(connections.max(1))),
            disconnects,
        }
    }
}

/// What one mode found.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// Modes `pairs` and `rate`.
    Traffic(Box<TrafficReport>),
    /// Mode `idle`.
    Idle(IdleReport),
}

impl Report {
    /// Whether every message was told exactly once, in order, and nobody was cut off.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Idle(idle) => idle.disconnects == 0,
            Self::Traffic(found) => {
                let wrong = [found.unsent, found.lost, found.unconfirmed, found.doubled, found.out_of_order];
                found.sent > 0 && wrong.iter().all(|count| *count == 0) && found.refused == 0 && found.disconnects == 0
            }
        }
    }

    /// A table in Markdown that is also good to read as it is.
    #[must_use]
    pub fn table(&self) -> String {
        let mut rows = Vec::new();
        match self {
            Self::Idle(idle) => {
                rows.push((idle.title.clone(), String::new()));
                rows.push(("connected and authenticated".into(), format!("{:.0}/s", idle.connects_per_second)));
                let mebibytes = |bytes| float(bytes) / 1_048_576.0;
                if let Some((before, after)) = idle.resident_bytes {
                    let resident = format!("{:.1} MiB, then {:.1} MiB", mebibytes(before), mebibytes(after));
                    rows.push(("server's resident memory".into(), resident));
                }
                let each = idle.bytes_per_connection.map(|bytes| format!("{:.1} KiB", bytes / 1024.0));
                rows.push(("memory for each connection".into(), each.unwrap_or_else(unknown)));
                rows.push(("cut off".into(), idle.disconnects.to_string()));
            }
            Self::Traffic(found) => found.rows(&mut rows),
        }
        let mut table = String::new();
        for (index, (what, figure)) in rows.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ok = writeln!(table, "| {what:<44} | {figure:>44} |");
            if index == 0 {
                let _ok = writeln!(table, "|{0}-|{0}:|", "-".repeat(45));
            }
        }
        table
    }
}

impl TrafficReport {
    fn rows(&self, rows: &mut Vec<(String, String)>) {
        let mut row = |what: &str, figure: String| rows.push((what.to_owned(), figure));
        row(&self.title, String::new());
        row("delivered", format!("{:.0}/s", self.delivered_per_second));
        row("send to message-sent, ms (50/90/99/99.9/max)", figures(&self.confirmed_ms));
        row("send to receive-message, ms", figures(&self.delivered_ms));
        row("of that, the generator's own delay, ms", figures(&self.pacing_ms));
        let counts = [self.sent, self.lost, self.doubled, self.out_of_order].map(|count| count.to_string());
        row("sent / lost / doubled / out of order", counts.join(" / "));
        let counts = [self.unsent, self.unconfirmed, self.refused, self.disconnects].map(|count| count.to_string());
        row("unsent / unconfirmed / refused / cut off", counts.join(" / "));
        let cpu = self.server_cpu_per_100k.map(|seconds| format!("{seconds:.2} s"));
        row("server's CPU time for 100 000 delivered", cpu.unwrap_or_else(unknown));
        let share = |share: Option<f64>| share.map_or_else(unknown, |share| format!("{:.0} %", share * 100.0));
        row(
            "CPU used by server / generator",
            format!("{} / {}", share(self.server_cpu_share), share(self.own_cpu_share)),
        );
        row("connected and authenticated", format!("{:.0}/s", self.connects_per_second));
        if let Some(frame) = &self.first_refusal {
            row("first refusal", frame.replace('|', "/"));
        }
    }
}

fn figures(quantiles: &Quantiles) -> String {
    let Quantiles { p50, p90, p99, p999, max } = quantiles;
    format!("{p50:.2} / {p90:.2} / {p99:.2} / {p999:.2} / {max:.1}")
}

fn unknown() -> String {
    "unknown".into()
}

#[expect(clippy::cast_precision_loss, reason = "figures are rounded for people")]
const fn float(figure: u64) -> f64 {
    figure as f64
}

#[expect(clippy::cast_precision_loss, reason = "figures are rounded for people")]
const fn count(figure: usize) -> f64 {
    figure as f64
}
