//! What is logged, and how.

use clap::{Args, ValueEnum};

/// What is logged, and how.
#[derive(Debug, Clone, Args)]
pub struct LogConfig {
    /// What is logged: a level, or a filter such as `info,deskline::desk=debug`.
    #[arg(long = "log", env = "DESKLINE_LOG", default_value = "info", value_name = "FILTER")]
    pub filter: String,
    /// How a line looks.
    #[arg(long, env = "DESKLINE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
