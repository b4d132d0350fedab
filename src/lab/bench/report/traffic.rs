//! The report of modes `pairs` and `rate`.

use std::time::Duration;

use serde::Serialize;

use super::{Quantiles, Row, count, figures, float, unknown};
use crate::lab::bench::flooder::Flooded;
use crate::lab::bench::options::{BenchOptions, Mode, Protocol};
use crate::lab::bench::tally::Tally;

/// Time and memory that a measurement took.
#[derive(Clone, Copy)]
pub(in crate::lab::bench) struct Spent {
    /// Wall-clock seconds.
    pub(in crate::lab::bench) seconds: f64,
    /// CPU seconds of the server, if its process is known.
    pub(in crate::lab::bench) server_cpu: Option<f64>,
    /// CPU seconds of the generator.
    pub(in crate::lab::bench) own_cpu: Option<f64>,
    /// Resident bytes of the server before and after.
    pub(in crate::lab::bench) resident: Option<(u64, u64)>,
}

/// Throughput, latency and errors of a run.
#[derive(Clone, Debug, Serialize)]
pub struct TrafficReport {
    /// [`Mode::Pairs`] or [`Mode::Rate`].
    pub mode: Mode,
    /// Protocol of the clients.
    pub protocol: Protocol,
    /// Description of the load.
    pub title: String,
    /// Number of connections.
    pub connections: usize,
    /// Connected and authenticated per second.
    pub connects_per_second: f64,
    /// Duration of the measurement in seconds.
    pub seconds: f64,
    /// Delivered messages per second.
    pub delivered_per_second: f64,
    /// From sending to `message-sent`.
    pub confirmed_ms: Quantiles,
    /// From sending to `receive-message`.
    pub delivered_ms: Quantiles,
    /// From when a message was due to when it was sent; part of both latencies.
    pub pacing_ms: Quantiles,
    /// Messages sent. This and all counts below include the warm-up.
    pub sent: u64,
    /// Due and never sent, because the server did not read.
    pub unsent: u64,
    /// Sent and never received.
    pub lost: u64,
    /// Sent and never confirmed.
    pub unconfirmed: u64,
    /// Received or confirmed twice.
    pub doubled: u64,
    /// Received or confirmed after a later one of the same pair.
    pub out_of_order: u64,
    /// `error` events.
    pub refused: u64,
    /// The first of them.
    pub first_refusal: Option<String>,
    /// Connections that the server closed.
    pub disconnects: u64,
    /// CPU seconds of the server per 100 000 delivered messages.
    pub server_cpu_per_100k: Option<f64>,
    /// Resident bytes of the server at the start and the end of the measurement.
    pub resident_bytes: Option<(u64, u64)>,
    /// Background pairs; `None` if there were none.
    #[serde(rename = "beside")]
    pub background: Option<BackgroundReport>,
    /// The flooding client; `None` if there was none.
    pub flooded: Option<Flooded>,
    /// Share of one CPU that the server used.
    pub server_cpu_share: Option<f64>,
    /// Share of one CPU that the generator used; near 1, the generator is the bottleneck.
    pub own_cpu_share: Option<f64>,
}

/// What the background pairs did.
#[derive(Clone, Debug, Serialize)]
pub struct BackgroundReport {
    /// Number of pairs.
    pub pairs: usize,
    /// Messages sent.
    pub sent: u64,
    /// Bytes of their texts.
    pub bytes: u64,
    /// Receivers that never read.
    pub stalled: usize,
    /// Those that the server disconnected.
    pub cut_off: usize,
}

impl TrafficReport {
    pub(in crate::lab::bench) fn new(
        options: &BenchOptions,
        mode: Mode,
        tally: &Tally,
        asked: u64,
        connections: usize,
        connecting: Duration,
        spent: Spent,
    ) -> Self {
        let is_fan_in = options.to_agent && !options.protocol.is_channels();
        let to = if is_fan_in { " to one agent" } else { options.protocol.title_suffix() };
        let load = if mode == Mode::Rate {
            format!("{}/s", options.rate)
        } else {
            format!("{} in flight each", options.window)
        };
        let in_window = float(tally.delivered.in_window);
        Self {
            mode,
            protocol: options.protocol,
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
            resident_bytes: spent.resident,
            background: None,
            flooded: None,
            server_cpu_share: spent.server_cpu.map(|cpu| cpu / spent.seconds),
            own_cpu_share: spent.own_cpu.map(|cpu| cpu / spent.seconds),
        }
    }
}

impl TrafficReport {
    /// Whether every message was delivered exactly once and in order, and no connection was lost.
    pub(super) fn is_clean(&self) -> bool {
        let wrong = [self.unsent, self.lost, self.unconfirmed, self.doubled, self.out_of_order];
        self.sent > 0 && wrong.iter().all(|count| *count == 0) && self.refused == 0 && self.disconnects == 0
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
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
        let mebibytes = |bytes| float(bytes) / 1_048_576.0;
        if let Some((before, after)) = self.resident_bytes {
            let resident = format!("{:.1} MiB, then {:.1} MiB", mebibytes(before), mebibytes(after));
            row("server's resident memory", resident);
        }
        if let Some(Flooded { sent, closed }) = self.flooded {
            row("sent by the flooding client / its connections closed", format!("{sent} / {closed}"));
        }
        if let Some(BackgroundReport { pairs, sent, bytes, stalled, cut_off }) = &self.background {
            row(&format!("sent by {pairs} background pairs"), format!("{sent}, {:.1} MiB", mebibytes(*bytes)));
            row("their receivers that never read / of these cut off", format!("{stalled} / {cut_off}"));
        }
        if let Some(frame) = &self.first_refusal {
            row("first refusal", frame.replace('|', "/"));
        }
        rows
    }
}
