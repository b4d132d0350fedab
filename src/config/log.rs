//! Logging settings.

use clap::{Args, ValueEnum};

/// Logging settings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogConfig {
    /// Log level, or a filter by module such as `info,deskline::desk=debug`.
    #[arg(long = "log", env = "DESKLINE_LOG", default_value = "info", value_name = "FILTER")]
    pub filter: String,
    /// Format of log lines.
    #[arg(long, env = "DESKLINE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}
