//! The report of modes `restart` and `crash`.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Quantiles, Row, figures};
use crate::lab::bench::options::{BenchOptions, Mode};

/// How long the clients took to reconnect, and whether all their messages were stored.
#[derive(Clone, Debug, Serialize)]
pub struct RestartReport {
    /// [`Mode::Restart`] or [`Mode::Crash`].
    pub mode: Mode,
    /// Description of the load.
    pub title: String,
    /// Number of connections.
    pub connections: usize,
    /// From the signal to the end of the process.
    pub stopping_seconds: f64,
    /// From being started to listening.
    pub starting_seconds: f64,
    /// From the signal that stops the server to being authenticated again.
    pub back_ms: Quantiles,
    /// From losing the connection to being authenticated again.
    pub outage_ms: Quantiles,
    /// Bound for the last of them, if there is one.
    pub back_within_ms: Option<f64>,
    /// Clients that did not reconnect in time, or were cut off again before all were back.
    pub left_out: u64,
    /// Messages that were never confirmed, although they were retried.
    pub unconfirmed: u64,
    /// Messages that are not stored.
    pub lost: u64,
    /// Messages that are stored more than once.
    pub doubled: u64,
    /// Refusals while the server was stopping; refused messages are retried.
    pub refused: u64,
}

impl RestartReport {
    pub(in crate::lab::bench) fn new(
        mode: Mode,
        options: &BenchOptions,
        stopping: Duration,
        starting: Duration,
    ) -> Self {
        let connections = options.connections;
        let none = Quantiles { p50: 0.0, p90: 0.0, p99: 0.0, p999: 0.0, max: 0.0 };
        Self {
            mode,
            title: format!("{} under {connections} connections", if mode == Mode::Crash { "crash" } else { "restart" }),
            connections,
            stopping_seconds: stopping.as_secs_f64(),
            starting_seconds: starting.as_secs_f64(),
            back_ms: none.clone(),
            outage_ms: none,
            back_within_ms: options.back_within.map(|bound| bound.as_secs_f64() * 1e3),
            left_out: 0,
            unconfirmed: 0,
            lost: 0,
            doubled: 0,
            refused: 0,
        }
    }

    pub(in crate::lab::bench) fn came_back(&mut self, back: &Histogram<u64>, outage: &Histogram<u64>) {
        (self.back_ms, self.outage_ms) = (Quantiles::from(back), Quantiles::from(outage));
    }

    pub(super) fn is_clean(&self) -> bool {
        let is_in_time = self.back_within_ms.is_none_or(|bound| self.back_ms.max <= bound);
        is_in_time && self.left_out == 0 && self.unconfirmed == 0 && self.lost == 0 && self.doubled == 0
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let phases = format!("{:.2} / {:.2} s", self.stopping_seconds, self.starting_seconds);
        let counts =
            [self.connections as u64, self.lost, self.doubled, self.unconfirmed].map(|count| count.to_string());
        let mut rows = vec![
            (self.title.clone(), String::new()),
            ("stopping / starting".into(), phases),
            ("stop to back, ms (50/90/99/99.9/max)".into(), figures(&self.back_ms)),
            ("connection lost to back, ms".into(), figures(&self.outage_ms)),
            ("did not reconnect".into(), self.left_out.to_string()),
            ("sent / lost / doubled / unconfirmed".into(), counts.join(" / ")),
            ("refused while stopping".into(), self.refused.to_string()),
        ];
        rows.extend(self.back_within_ms.map(|bound| ("all have to be back within, ms".into(), format!("{bound:.0}"))));
        rows
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: BenchOptions,
    }

    #[test]
    fn a_restart_with_one_late_client_fails() {
        let options = Arguments::parse_from(["bench", "--connections", "3", "--back-within", "5s"]).options;
        let mut report = RestartReport::new(Mode::Restart, &options, Duration::ZERO, Duration::ZERO);
        assert!(report.is_clean());
        let mut back = Histogram::new(3).unwrap();
        for seconds in [1, 2, 6] {
            back.record(seconds * 1_000_000_000).unwrap();
        }
        report.came_back(&back, &back);
        assert!(!report.is_clean());
        report.back_within_ms = None;
        assert!(report.is_clean());
    }
}
