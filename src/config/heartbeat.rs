//! How it is found out that a client has gone without a word.

use std::time::Duration;

use clap::Args;

use crate::net::Heartbeat;

/// A heartbeat that would never rest, or never come.
#[derive(Debug, thiserror::Error)]
enum BeatError {
    #[error(transparent)]
    Unreadable(#[from] humantime::DurationError),
    #[error("must be between 100ms and 1day")]
    OutOfBounds,
}

/// How clients that have gone without a word are found out, on sockets of every dialect.
#[derive(Debug, Clone, Args)]
pub struct HeartbeatConfig {
    /// How often a client is asked for a sign of life, on every kind of socket, e.g. `25s`.
    #[arg(long, env = "DESKLINE_PING_INTERVAL", default_value = "25s", value_parser = parse)]
    pub ping_interval: Duration,
    /// How long it may take to give one before its socket is ended, e.g. `20s`.
    #[arg(long, env = "DESKLINE_PING_TIMEOUT", default_value = "20s", value_parser = parse)]
    pub ping_timeout: Duration,
}

impl HeartbeatConfig {
    /// As the faces take it.
    #[must_use]
    pub const fn heartbeat(&self) -> Heartbeat {
        Heartbeat { interval: self.ping_interval, timeout: self.ping_timeout }
    }
}

fn parse(text: &str) -> Result<Duration, BeatError> {
    let time = humantime::parse_duration(text)?;
    if (Duration::from_millis(100)..=Duration::from_hours(24)).contains(&time) {
        Ok(time)
    } else {
        Err(BeatError::OutOfBounds)
    }
}
