//! What the desk and its Socket.IO face do differently when told to.

use std::time::Duration;

use clap::Args;

use crate::desk::DeskSettings;
use crate::faces::socketio::SocketioSettings;
use crate::net::Heartbeat;

/// What the desk does differently when told to.
#[derive(Debug, Clone, Args)]
pub struct DeskConfig {
    /// How long a typing notice lasts if the client never says that it has ended, e.g. `2min`.
    #[arg(long, env = "DESKLINE_TYPING_TTL", default_value = "2min", value_parser = humantime::parse_duration)]
    pub typing_ttl: Duration,
    /// How long after their last connection somebody still counts as online, e.g. `10s`.
    #[arg(long, env = "DESKLINE_OFFLINE_GRACE", default_value = "10s", value_parser = humantime::parse_duration)]
    pub offline_grace: Duration,
    /// The most characters of a message.
    #[arg(long, env = "DESKLINE_MAX_MESSAGE", default_value_t = 1_000_000, value_name = "CHARACTERS")]
    pub max_message: usize,
    /// How many messages a second one person may send in the long run (ten seconds' worth at once); 0 for any number.
    #[arg(long, env = "DESKLINE_SEND_RATE", default_value_t = 50, value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub send_rate: u32,
    /// The most messages that one reading of the history gives, up to 1000.
    #[arg(long, env = "DESKLINE_HISTORY_PAGE", default_value_t = 1000, value_name = "MESSAGES")]
    pub history_page: usize,
}

impl DeskConfig {
    /// As the desk takes it, with this heartbeat.
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

/// What the Socket.IO face does differently when told to.
#[derive(Debug, Clone, Args)]
pub struct SocketioConfig {
    /// How long a client may stay connected without saying who it is before it is reminded, e.g. `5s`.
    #[arg(long, env = "DESKLINE_SILENCE", default_value = "5s", value_parser = humantime::parse_duration)]
    pub silence: Duration,
    /// Lets clients of the old protocol in (Engine.IO 3: socket.io-client 1 and 2).
    #[arg(long, env = "DESKLINE_ALLOW_EIO3")]
    pub allow_eio3: bool,
    /// How long after it authenticated a page that lost its connection can go on where it was, e.g. `24h`; `0s` for never.
    #[arg(long, env = "DESKLINE_RECOVER_WITHIN", default_value = "24h", value_parser = humantime::parse_duration)]
    pub recover_within: Duration,
    /// Another path at which Socket.IO clients find this server, beside `/socket.io/`: what they give as `path`, e.g. `/realtime/`.
    #[arg(long, env = "DESKLINE_PATH", value_parser = parse_path)]
    pub path: Option<String>,
}

/// A path at which Socket.IO clients cannot be answered.
#[derive(Debug, thiserror::Error)]
enum PathError {
    #[error("must begin with a slash, and be made of letters, digits and -._/")]
    Unreadable,
    #[error("other requests go there")]
    Taken,
}

/// Where other requests go.
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

/// Without a final slash.
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
    /// As the face takes it, with this heartbeat.
    #[must_use]
    pub fn settings(&self, heartbeat: Heartbeat) -> SocketioSettings {
        SocketioSettings {
            heartbeat,
            silence: self.silence,
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
    fn a_path_leads_past_what_is_there() {
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
