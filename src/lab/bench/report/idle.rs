//! The report of mode `idle`.

use std::time::Duration;

use serde::Serialize;

use super::{Row, count, float, unknown};
use crate::lab::bench::options::{BenchOptions, Mode, Protocol};

/// The cost of idle connections.
#[derive(Clone, Debug, Serialize)]
pub struct IdleReport {
    /// [`Mode::Idle`].
    pub mode: Mode,
    /// Protocol of the clients.
    pub protocol: Protocol,
    /// Description of the load.
    pub title: String,
    /// Number of connections.
    pub connections: usize,
    /// Connected and authenticated per second.
    pub connects_per_second: f64,
    /// Resident bytes of the server before the first connection and after the last, if its process is known.
    pub resident_bytes: Option<(u64, u64)>,
    /// Growth of that per connection.
    pub bytes_per_connection: Option<f64>,
    /// Connections that the server closed.
    pub disconnects: u64,
}

impl IdleReport {
    pub(in crate::lab::bench) fn new(
        options: &BenchOptions,
        connecting: Duration,
        resident: Option<(u64, u64)>,
        disconnects: u64,
    ) -> Self {
        let (connections, protocol) = (options.connections, options.protocol);
        Self {
            mode: Mode::Idle,
            protocol,
            title: format!("{connections} idle connections{}", protocol.title_suffix()),
            connections,
            connects_per_second: count(connections) / connecting.as_secs_f64(),
            resident_bytes: resident,
            bytes_per_connection: resident
                .map(|(before, after)| float(after.saturating_sub(before)) / count(connections.max(1))),
            disconnects,
        }
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        rows.push((self.title.clone(), String::new()));
        rows.push(("connected and authenticated".into(), format!("{:.0}/s", self.connects_per_second)));
        let mebibytes = |bytes| float(bytes) / 1_048_576.0;
        if let Some((before, after)) = self.resident_bytes {
            let resident = format!("{:.1} MiB, then {:.1} MiB", mebibytes(before), mebibytes(after));
            rows.push(("server's resident memory".into(), resident));
        }
        let each = self.bytes_per_connection.map(|bytes| format!("{:.1} KiB", bytes / 1024.0));
        rows.push(("memory for each connection".into(), each.unwrap_or_else(unknown)));
        rows.push(("cut off".into(), self.disconnects.to_string()));
        rows
    }
}
