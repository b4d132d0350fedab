//! The report of mode `reconnect`.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Quantiles, Row, figures};
use crate::lab::bench::options::{BenchOptions, Mode, Protocol};
use crate::lab::bench::tally::Tally;

/// How long the clients took to reconnect, and what became of the messages to them meanwhile.
#[derive(Clone, Debug, Serialize)]
pub struct ReconnectReport {
    /// [`Mode::Reconnect`].
    pub mode: Mode,
    /// Protocol of the clients.
    pub protocol: Protocol,
    /// Description of the load.
    pub title: String,
    /// Connections that were cut.
    pub connections: usize,
    /// From the cut to being authenticated again.
    pub back_ms: Quantiles,
    /// Bound for the last of them, if there is one.
    pub back_within_ms: Option<f64>,
    /// From when a message was due to when its receiver had it, live or by catching up; includes the outage.
    pub delivered_ms: Quantiles,
    /// From when a message was due to when it was sent; part of the above.
    pub pacing_ms: Quantiles,
    /// Clients that did not reconnect in time.
    pub left_out: u64,
    /// Messages that the agent sent after the cut.
    pub sent: u64,
    /// Due and never sent, because the server did not read.
    pub unsent: u64,
    /// Sent and never received.
    pub lost: u64,
    /// Sent and never confirmed.
    pub unconfirmed: u64,
    /// Delivered or confirmed twice, or twice in the history.
    pub doubled: u64,
    /// Delivered or confirmed after a later one to the same receiver.
    pub out_of_order: u64,
    /// `error` events.
    pub refused: u64,
    /// The first of them.
    pub first_refusal: Option<String>,
    /// Connections that the server closed.
    pub disconnects: u64,
}

impl ReconnectReport {
    pub(in crate::lab::bench) fn new(
        options: &BenchOptions,
        tally: &Tally,
        asked: u64,
        left_out: u64,
        back: &Histogram<u64>,
    ) -> Self {
        let BenchOptions { connections, protocol, rate, .. } = *options;
        let haste = if options.at_once { ", back at once" } else { "" };
        Self {
            mode: Mode::Reconnect,
            protocol,
            title: format!("{connections} connections cut{}, {rate}/s to them{haste}", protocol.title_suffix()),
            connections,
            back_ms: Quantiles::from(back),
            back_within_ms: options.back_within.map(|bound| bound.as_secs_f64() * 1e3),
            delivered_ms: Quantiles::from(&tally.delivered.latency),
            pacing_ms: Quantiles::from(&tally.pacing),
            left_out,
            sent: tally.sent,
            unsent: asked.saturating_sub(tally.sent),
            lost: tally.sent.saturating_sub(tally.delivered.come),
            unconfirmed: tally.sent.saturating_sub(tally.confirmed.come),
            doubled: tally.delivered.doubled + tally.confirmed.doubled,
            out_of_order: tally.delivered.out_of_order + tally.confirmed.out_of_order,
            refused: tally.refused,
            first_refusal: tally.first_refusal.clone(),
            disconnects: tally.disconnects,
        }
    }

    /// Whether all clients reconnected within the bound, and every message was delivered exactly once and in order.
    pub(super) fn is_clean(&self) -> bool {
        let wrong = [self.unsent, self.lost, self.unconfirmed, self.doubled, self.out_of_order];
        let is_in_time = self.back_within_ms.is_none_or(|bound| self.back_ms.max <= bound);
        let all_are_back = self.left_out == 0 && self.disconnects == 0;
        is_in_time && all_are_back && self.sent > 0 && self.refused == 0 && wrong.iter().all(|count| *count == 0)
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let counts = [self.sent, self.lost, self.doubled, self.out_of_order].map(|count| count.to_string());
        let others = [self.unsent, self.unconfirmed, self.refused, self.disconnects].map(|count| count.to_string());
        let mut rows = vec![
            (self.title.clone(), String::new()),
            ("cut to back, ms (50/90/99/99.9/max)".into(), figures(&self.back_ms)),
            ("due to receive-message, ms".into(), figures(&self.delivered_ms)),
            ("of that, the generator's own delay, ms".into(), figures(&self.pacing_ms)),
            ("did not reconnect".into(), self.left_out.to_string()),
            ("sent / lost / doubled / out of order".into(), counts.join(" / ")),
            ("unsent / unconfirmed / refused / cut off".into(), others.join(" / ")),
        ];
        rows.extend(self.back_within_ms.map(|bound| ("all have to be back within, ms".into(), format!("{bound:.0}"))));
        rows.extend(self.first_refusal.iter().map(|frame| ("first refusal".into(), frame.replace('|', "/"))));
        rows
    }
}
