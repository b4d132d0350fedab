//! What a flood of handshakes cost.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Quantiles, Row, figures, float, unknown};
use crate::lab::bench::flood::LEFT;
use crate::lab::bench::options::{BenchOptions, Mode};

/// By how much the server's memory may grow.
const GROWTH: u64 = 100_000_000;

/// How long others may take to connect, in milliseconds, 99 of a hundred.
const OTHERS: f64 = 500.0;

/// How the flood was answered.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answers {
    /// With a session.
    pub opened: u64,
    /// With 429.
    pub refused: u64,
    /// Otherwise, or not at all.
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
    /// At most, during it.
    pub most: u64,
    /// In the end.
    pub after: u64,
    /// How long after the flood all but 32 MiB of it was given back; `None` if that did not happen within a minute.
    pub given_back: Option<Duration>,
}

/// What a flood of handshakes cost the server and others.
#[derive(Clone, Debug, Serialize)]
pub struct FloodReport {
    /// [`Mode::Flood`].
    pub mode: Mode,
    /// What the load was.
    pub title: String,
    /// How the flood was answered.
    pub answers: Answers,
    /// How long another address took to connect and to open a session.
    pub others_ms: Quantiles,
    /// How often it could not.
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
            ("others that could not".into(), self.others_failed.to_string()),
            ("resident MB: before / at most / in the end".into(), memory),
            (format!("all but {} MiB given back after", LEFT >> 20), given_back),
        ]
    }
}
