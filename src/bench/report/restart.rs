//! A server is stopped and started again.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Quantiles, Row, figures};
use crate::bench::options::Mode;

/// How long everybody took to be back, and what became of their messages.
#[derive(Clone, Debug, Serialize)]
pub struct RestartReport {
    /// [`Mode::Restart`] or [`Mode::Crash`].
    pub mode: Mode,
    /// What the load was.
    pub title: String,
    /// How many connections there were.
    pub connections: usize,
    /// From being asked to stop to having stopped.
    pub stopping_seconds: f64,
    /// From being started to listening.
    pub starting_seconds: f64,
    /// From asking the server to stop to being authenticated again.
    pub back_ms: Quantiles,
    /// From losing the connection to being authenticated again.
    pub outage_ms: Quantiles,
    /// Clients that did not come back in time.
    pub left_out: u64,
    /// Messages that were never confirmed, though sent again.
    pub unconfirmed: u64,
    /// Messages that are not in the store.
    pub lost: u64,
    /// Messages that are in the store more than once.
    pub doubled: u64,
    /// Refusals while the server stopped; what was refused was sent again.
    pub refused: u64,
}

impl RestartReport {
    pub(in crate::bench) fn new(mode: Mode, connections: usize, stopping: Duration, starting: Duration) -> Self {
        let none = Quantiles { p50: 0.0, p90: 0.0, p99: 0.0, p999: 0.0, max: 0.0 };
        Self {
            mode,
            title: format!("{} under {connections} connections", if mode == Mode::Crash { "crash" } else { "restart" }),
            connections,
            stopping_seconds: stopping.as_secs_f64(),
            starting_seconds: starting.as_secs_f64(),
            back_ms: none.clone(),
            outage_ms: none,
            left_out: 0,
            unconfirmed: 0,
            lost: 0,
            doubled: 0,
            refused: 0,
        }
    }

    pub(in crate::bench) fn came_back(&mut self, back: &Histogram<u64>, outage: &Histogram<u64>) {
        (self.back_ms, self.outage_ms) = (Quantiles::from(back), Quantiles::from(outage));
    }

    pub(super) const fn is_clean(&self) -> bool {
        self.left_out == 0 && self.unconfirmed == 0 && self.lost == 0 && self.doubled == 0
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let phases = format!("{:.2} / {:.2} s", self.stopping_seconds, self.starting_seconds);
        let counts =
            [self.connections as u64, self.lost, self.doubled, self.unconfirmed].map(|count| count.to_string());
        vec![
            (self.title.clone(), String::new()),
            ("stopping / starting".into(), phases),
            ("stop to back, ms (50/90/99/99.9/max)".into(), figures(&self.back_ms)),
            ("connection lost to back, ms".into(), figures(&self.outage_ms)),
            ("did not come back".into(), self.left_out.to_string()),
            ("sent / lost / doubled / unconfirmed".into(), counts.join(" / ")),
            ("refused while stopping".into(), self.refused.to_string()),
        ]
    }
}
