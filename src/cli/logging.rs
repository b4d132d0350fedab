//! Structured logging to stderr.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use super::log_writer::{Flush, LogWriter};
use super::throttle::Throttle;
use crate::config::{LogConfig, LogFormat};

/// A guard of the log. Dropping it flushes the last lines.
pub(super) struct Logging {
    pub(super) throttle: Throttle,
    _flush: Flush,
}

/// Starts logging. Call it once.
pub(super) fn start(config: &LogConfig) -> anyhow::Result<Logging> {
    let filter = EnvFilter::try_new(&config.filter).with_context(|| format!("--log {:?}", config.filter))?;
    let (writer, flush) = LogWriter::start(std::io::stderr()).context("starting the log")?;
    let throttle = Throttle::default();
    // No colours in files and pipes. Errors of the log itself are ignored, because there is nowhere to report them.
    let lines = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(move || writer.clone())
        .log_internal_errors(false);
    let lines = match config.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .with(throttle.clone())
        .try_init()
        .context("starting the log")?;
    Ok(Logging { throttle, _flush: flush })
}
