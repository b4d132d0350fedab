//! The report of mode `flood`.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Quantiles, Row, figures, float, unknown};
use crate::lab::bench::flood::LEFT;
use crate::lab::bench::options::{BenchOptions, Mode};

/// Largest growth of the server's memory, in bytes.
const GROWTH: u64 = 100_000_000;

/// Largest 99th percentile of other clients' connects, in milliseconds.
const OTHERS: f64 = 500.0;

/// Responses to the flood.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answers {
    /// A session was opened.
    pub opened: u64,
    /// 429.
    pub refused: u64,
    /// Any other response, or none.
    pub failed: u64,
}

impl Answers {
    pub(in crate::lab::bench) const fn count(&mut self, status: u16) {
        match status {
            200 => self.opened += 1,
            429 => self.refused += 1,
            _ => self.failed += 1,
        }
    }
}

/// The server's resident memory, in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// Before the flood.
    pub before: u64,
    /// Highest value during it.
    pub most: u64,
    /// At the end.
    pub after: u64,
    /// Time until all but 32 MiB were returned to the system; `None` if it took longer than a minute.
    pub given_back: Option<Duration>,
}

/// The cost of a flood of handshakes for the server and other clients.
#[derive(Clone, Debug, Serialize)]
pub struct FloodReport {
    /// [`Mode::Flood`].
    pub mode: Mode,
    /// Description of the load.
    pub title: String,
    /// Responses to the flood.
    pub answers: Answers,
    /// How long another address took to connect and to open a session.
    pub others_ms: Quantiles,
    /// How often that failed.
    pub others_failed: u64,
    /// `None` if the server's process is not known.
    pub memory: Option<Memory>,
}

impl FloodReport {
    pub(in crate::lab::bench) fn new(
        options: &BenchOptions,
        answers: Answers,
        others_failed: u64,
        others: &Histogram<u64>,
        memory: Option<Memory>,
    ) -> Self {
        let title = format!("handshakes over {} connections for {:?}", options.connections, options.duration);
        Self { mode: Mode::Flood, title, answers, others_ms: Quantiles::from(others), others_failed, memory }
    }

    pub(super) fn is_clean(&self) -> bool {
        let is_bounded =
            |memory: &Memory| memory.most.saturating_sub(memory.before) <= GROWTH && memory.given_back.is_some();
        self.others_failed == 0 && self.others_ms.p99 <= OTHERS && self.memory.as_ref().is_none_or(is_bounded)
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let Answers { opened, refused, failed } = self.answers;
        let megabytes = |bytes| float(bytes) / 1e6;
        let memory = self.memory.as_ref().map_or_else(unknown, |Memory { before, most, after, .. }| {
            format!("{:.0} / {:.0} / {:.0}", megabytes(*before), megabytes(*most), megabytes(*after))
        });
        let given_back = self.memory.as_ref().map_or_else(unknown, |memory| {
            memory
                .given_back
                .map_or_else(|| "not within a minute".into(), |after| format!("{:.1} s", after.as_secs_f64()))
        });
        vec![
            (self.title.clone(), String::new()),
            ("opened / refused / failed".into(), format!("{opened} / {refused} / {failed}")),
            ("others connect, ms (50/90/99/99.9/max)".into(), figures(&self.others_ms)),
            ("failed connects of others".into(), self.others_failed.to_string()),
            ("resident MB: before / at most / at the end".into(), memory),
            (format!("all but {} MiB returned after", LEFT >> 20), given_back),
        ]
    }
}
