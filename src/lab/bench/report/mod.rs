//! Reports of runs, as tables and as JSON.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

mod flood;
mod idle;
mod reconnect;
mod restart;
mod storm;
mod traffic;

pub use flood::{Answers, FloodReport, Memory};
pub use idle::IdleReport;
pub use reconnect::ReconnectReport;
pub use restart::RestartReport;
pub use storm::StormReport;
pub(super) use traffic::Spent;
pub use traffic::{BackgroundReport, TrafficReport};

/// A row of a table: label and figure.
type Row = (String, String);

/// Distribution of a latency, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Maximum.
    pub max: f64,
}

impl From<&Histogram<u64>> for Quantiles {
    fn from(nanos: &Histogram<u64>) -> Self {
        let at = |quantile| float(nanos.value_at_quantile(quantile)) / 1e6;
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: float(nanos.max()) / 1e6 }
    }
}

/// The report of one mode.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// Modes `pairs` and `rate`.
    Traffic(Box<TrafficReport>),
    /// Mode `idle`.
    Idle(IdleReport),
    /// Mode `storm`.
    Storm(StormReport),
    /// Modes `restart` and `crash`.
    Restart(RestartReport),
    /// Mode `reconnect`.
    Reconnect(Box<ReconnectReport>),
    /// Mode `flood`.
    Flood(Box<FloodReport>),
}

impl Report {
    /// Whether every message was delivered exactly once and in order, no connection was lost, and all bounds were met.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Idle(idle) => idle.disconnects == 0,
            Self::Storm(storm) => storm.failed == 0,
            Self::Restart(restart) => restart.is_clean(),
            Self::Reconnect(reconnect) => reconnect.is_clean(),
            Self::Flood(flood) => flood.is_clean(),
            Self::Traffic(found) => found.is_clean(),
        }
    }

    /// A Markdown table, aligned for the terminal.
    #[must_use]
    pub fn table(&self) -> String {
        let rows = match self {
            Self::Traffic(found) => found.rows(),
            Self::Idle(idle) => idle.rows(),
            Self::Storm(storm) => storm.rows(),
            Self::Restart(restart) => restart.rows(),
            Self::Reconnect(reconnect) => reconnect.rows(),
            Self::Flood(flood) => flood.rows(),
        };
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
