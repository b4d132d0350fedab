//! Logs unknown events. A frontend with another dialect shows an empty chat; the log shows the reason.

use std::collections::HashSet;
use std::sync::LazyLock;

use parking_lot::Mutex;

/// Most names that are logged, since they come from clients.
const NAMES: usize = 100;

/// Longest part of a name that is logged, in characters.
const LENGTH: usize = 60;

/// The events that clients send.
const KNOWN: [&str; 10] = [
    "authenticate",
    "send-message",
    "edit-message",
    "delete-message",
    "received",
    "mark-read",
    "typing",
    "stop-typing",
    "resume",
    "auth",
];

/// Names that other frontends use for them.
const SYNONYMS: [(&str, &str); 10] = [
    ("message", "send-message"),
    ("newmessage", "send-message"),
    ("chatmessage", "send-message"),
    ("privatemessage", "send-message"),
    ("login", "authenticate"),
    ("authentication", "authenticate"),
    ("messageread", "mark-read"),
    ("markasread", "mark-read"),
    ("starttyping", "typing"),
    ("typingstop", "stop-typing"),
];

/// Events with which clients of other servers join a conversation.
const JOINING: [&str; 6] = ["join", "joinroom", "joinchat", "userjoin", "userconnected", "register"];

static LOGGED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Logs the name of an unknown event, once.
pub(super) fn note(name: &str) {
    let name: String = name.chars().take(LENGTH).collect();
    let mut logged = LOGGED.lock();
    if logged.len() >= NAMES || !logged.insert(name.clone()) {
        return;
    }
    drop(logged);
    let hint = hint(&name);
    tracing::warn!(event = ?name, hint, "Unknown event from a client (each name is logged once)");
}

/// What the client may have meant by the event.
fn hint(name: &str) -> String {
    let plain = plain(name);
    if JOINING.contains(&plain.as_str()) {
        return "clients need not join: after `authenticate` they receive all their conversations".into();
    }
    let meant = KNOWN.iter().find(|known| self::plain(known) == plain).copied();
    let meant = meant.or_else(|| SYNONYMS.iter().find(|(other, _)| *other == plain).map(|(_, known)| *known));
    meant.map_or_else(|| format!("known events: {}", KNOWN.join(", ")), |known| format!("it may mean `{known}`"))
}

/// A name without case and punctuation.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_likely_event() {
        for (name, meant) in [
            ("sendMessage", "send-message"),
            ("send_message", "send-message"),
            ("chat message", "send-message"),
            ("markAsRead", "mark-read"),
            ("Typing", "typing"),
        ] {
            assert_eq!(hint(name), format!("it may mean `{meant}`"));
        }
        assert!(hint("join-room").contains("authenticate"));
        assert!(hint("frobnicate").starts_with("known events: authenticate, send-message"));
    }

    #[test]
    fn names_are_bounded_in_number_and_length() {
        for n in 0..NAMES * 2 {
            note(&format!("{n}-{}", "x".repeat(1000)));
        }
        let logged = LOGGED.lock();
        assert_eq!(logged.len(), NAMES);
        assert!(logged.iter().all(|name| name.len() <= LENGTH));
    }
}
