//! Heartbeat settings: how dead connections are detected.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;

use super::duration::{DAY, within};
use crate::net::Heartbeat;

/// Bounds of both times.
const BOUNDS: RangeInclusive<Duration> = Duration::from_millis(100)..=DAY;

/// How dead connections are detected, on sockets of all protocols.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Heartbeat")]
pub struct HeartbeatConfig {
    /// Time between two pings to a client, on sockets of all protocols (100ms to 1day).
    #[arg(long, env = "DESKLINE_PING_INTERVAL", default_value = "25s", value_name = "TIME",
        value_parser = within(BOUNDS))]
    pub ping_interval: Duration,
    /// How long a client may take to answer a ping before its connection is closed (100ms to 1day).
    #[arg(long, env = "DESKLINE_PING_TIMEOUT", default_value = "20s", value_name = "TIME",
        value_parser = within(BOUNDS))]
    pub ping_timeout: Duration,
}

impl HeartbeatConfig {
    /// The settings in the form that the faces take.
    #[must_use]
    pub const fn heartbeat(&self) -> Heartbeat {
        Heartbeat { interval: self.ping_interval, timeout: self.ping_timeout }
    }
}
