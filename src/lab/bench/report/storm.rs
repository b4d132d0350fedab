//! The report of mode `storm`.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Quantiles, Row, count, figures};
use crate::lab::bench::options::{BenchOptions, Mode, Protocol};

/// How long the clients took to connect.
#[derive(Clone, Debug, Serialize)]
pub struct StormReport {
    /// [`Mode::Storm`].
    pub mode: Mode,
    /// Protocol of the clients.
    pub protocol: Protocol,
    /// Description of the load.
    pub title: String,
    /// Clients that connected.
    pub connections: usize,
    /// Clients that did not.
    pub failed: usize,
    /// Connected and authenticated per second, until the last.
    pub connects_per_second: f64,
    /// From the common start to being authenticated.
    pub entered_ms: Quantiles,
}

impl StormReport {
    pub(in crate::lab::bench) fn new(
        options: &BenchOptions,
        came: usize,
        took: Duration,
        latency: &Histogram<u64>,
    ) -> Self {
        let (asked, protocol) = (options.connections, options.protocol);
        Self {
            mode: Mode::Storm,
            protocol,
            title: format!("{asked} connections at once{}", protocol.title_suffix()),
            connections: came,
            failed: asked - came,
            connects_per_second: count(came) / took.as_secs_f64(),
            entered_ms: Quantiles::from(latency),
        }
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        vec![
            (self.title.clone(), String::new()),
            ("connected and authenticated".into(), format!("{:.0}/s", self.connects_per_second)),
            ("start to authenticated, ms (50/90/99/99.9/max)".into(), figures(&self.entered_ms)),
            ("did not connect".into(), self.failed.to_string()),
        ]
    }
}
