//! Settings of the desk and of the Socket.IO face.

use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::duration::at_most_a_day;
use crate::desk::DeskSettings;
use crate::faces::dashboard::socketio::SocketioSettings;
use crate::net::Heartbeat;
use crate::store::MAX_PAGE;

/// Settings of the desk.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Messages and presence")]
pub struct DeskConfig {
    /// How long a typing notice lasts if the client never ends it, e.g. `2min` (at most 1day).
    #[arg(long, env = "DESKLINE_TYPING_TTL", default_value = "2min", value_name = "TIME",
        value_parser = at_most_a_day)]
    pub typing_ttl: Duration,
    /// How long a person stays online after their last connection closes, e.g. `10s` (at most 1day).
    #[arg(long, env = "DESKLINE_OFFLINE_GRACE", default_value = "10s", value_name = "TIME",
        value_parser = at_most_a_day)]
    pub offline_grace: Duration,
    /// Longest message, in characters.
    #[arg(long, env = "DESKLINE_MAX_MESSAGE", default_value_t = 1_000_000, value_name = "CHARACTERS")]
    pub max_message: usize,
    /// Messages per second that one person may send; 0 for no limit.
    ///
    /// Ten times as many are allowed in a burst, and every 20000 bytes of a long message count as one more. Read marks are
    /// limited to the same rate, separately. Visitors without an account may send at most 5 per second.
    #[arg(long, env = "DESKLINE_SEND_RATE", default_value_t = 50, value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub send_rate: u32,
    /// Messages per page of history (at most 1000).
    #[arg(long, env = "DESKLINE_HISTORY_PAGE", default_value_t = 1000, value_name = "MESSAGES",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_PAGE as u64))]
    pub history_page: usize,
}

impl DeskConfig {
    /// The settings in the form that the desk takes.
    #[must_use]
    pub fn settings(&self, heartbeat: Heartbeat) -> DeskSettings {
        DeskSettings {
            max_message_chars: self.max_message,
            typing_ttl: self.typing_ttl,
            offline_grace: self.offline_grace,
            send_rate: (self.send_rate > 0).then_some(self.send_rate),
            history_page: self.history_page,
            back_within: heartbeat.interval + heartbeat.timeout,
        }
    }
}

/// Settings of the Socket.IO face.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Socket.IO")]
pub struct SocketioConfig {
    /// How long a client may stay connected without `authenticate` before it is reminded, e.g. `5s` (at most 1day).
    ///
    /// The reminder is `authenticated {success: false}`, which makes stock pages authenticate.
    #[arg(long, env = "DESKLINE_SILENCE", default_value = "5s", value_name = "TIME",
        value_parser = at_most_a_day)]
    pub silence: Duration,
    /// Accept clients of the old protocol (Engine.IO 3: `socket.io-client` 1 and 2).
    #[arg(long, env = "DESKLINE_ALLOW_EIO3")]
    pub allow_eio3: bool,
    /// How long a page can recover its connection state, e.g. `24h`; `0s` to disable recovery.
    ///
    /// Counted from the moment at which the page authenticated. Within that time, a page that lost its connection
    /// continues where it was, without authenticating again.
    #[arg(long, env = "DESKLINE_RECOVER_WITHIN", default_value = "24h", value_name = "TIME",
        value_parser = humantime::parse_duration)]
    pub recover_within: Duration,
    /// Additional path for Socket.IO clients, beside `/socket.io/`: their `path` option, e.g. `/realtime/`.
    #[arg(long, env = "DESKLINE_PATH", value_parser = parse_path)]
    pub path: Option<String>,
}

/// Why a path cannot be used for Socket.IO.
#[derive(Debug, thiserror::Error)]
enum PathError {
    #[error("must begin with a slash and consist of letters, digits and -._/")]
    Unreadable,
    #[error("is used by other routes of the server")]
    Taken,
}

/// Paths of other routes.
const TAKEN: [&str; 11] = [
    "/api/accounts",
    "/api/admin",
    "/api/auth",
    "/api/chat",
    "/api/notifications",
    "/api/public",
    "/api/token",
    "/console",
    "/media",
    "/ws/admin",
    "/ws/chat",
];

/// Reads a path; returns it without a final slash.
fn parse_path(text: &str) -> Result<String, PathError> {
    let path = text.trim_end_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    if !path.starts_with('/') || path.contains("//") || !path.chars().all(is_plain) {
        return Err(PathError::Unreadable);
    }
    let is_below =
        |path: &str, top: &str| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if TAKEN.iter().any(|taken| is_below(taken, path) || is_below(path, taken)) {
        return Err(PathError::Taken);
    }
    Ok(path.to_owned())
}

impl SocketioConfig {
    /// The settings in the form that the face takes.
    #[must_use]
    pub fn settings(&self, heartbeat: Heartbeat) -> SocketioSettings {
        SocketioSettings {
            heartbeat,
            remind_after: self.silence,
            allow_eio3: self.allow_eio3,
            path: self.path.clone(),
            recover_within: self.recover_within,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_another_route_is_refused() {
        for (text, path) in [("/realtime/", "/realtime"), ("/api/socket.io", "/api/socket.io"), ("/ws", "/ws")] {
            let parsed = parse_path(text);
            assert_eq!(parsed.is_ok(), path != "/ws", "{text}: {parsed:?}");
            assert!(parsed.is_err() || parsed.is_ok_and(|parsed| parsed == path));
        }
        for text in ["", "/", "realtime", "/a//b", "/a?b", "/api", "/api/chat/x", "/console/"] {
            assert!(parse_path(text).is_err(), "{text}");
        }
    }
}
