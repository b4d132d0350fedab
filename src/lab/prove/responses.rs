//! Reads the server's answers.

use serde_json::Value;

use crate::lab::testkit::http::Answer;
use crate::lab::testkit::socketio::ClientError;

/// Codes of transient refusals.
const PASSING: [&str; 4] = ["storage_unavailable", "busy", "shutting_down", "rate_limited"];

/// Beginnings of transient refusals without a code: of `authenticate`, and of the Channels-style dialects.
const PASSING_WORDS: [&str; 4] =
    ["Server error", "the server is busy", "the server is shutting down", "too many messages"];

/// The error for a refusal: [`ClientError::Closed`] if it is transient, else [`ClientError::Unexpected`].
pub(super) fn refused(what: &str, answer: &Value) -> ClientError {
    let is_passing = match (answer["code"].as_str(), answer["message"].as_str().or(answer["error"].as_str())) {
        (Some(code), _) => PASSING.contains(&code),
        (None, Some(sentence)) => PASSING_WORDS.iter().any(|passing| sentence.starts_with(passing)),
        (None, None) => false,
    };
    if is_passing { ClientError::Closed } else { unexpected(what, answer) }
}

/// The error for an answer that violates the protocol.
pub(super) fn unexpected(what: &str, answer: &Value) -> ClientError {
    ClientError::Unexpected(format!("{what} was answered with {answer}"))
}

/// The body of a successful response. A transient failure counts as a lost connection.
pub(super) fn checked(Answer { status, body }: Answer) -> Result<Value, ClientError> {
    match status {
        200 | 201 => Ok(body),
        429 | 503 => Err(ClientError::Closed),
        _ => Err(ClientError::Unexpected(format!("a request was answered with {status}: {body}"))),
    }
}

/// A text; empty if there is none, which the checks will report.
pub(super) fn word(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// A number; 0 if there is none, which the checks will report.
pub(super) fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_transient_refusals_are_accepted() {
        for passing in [
            json!({"message": "Failed to send message", "error": "why", "code": "storage_unavailable"}),
            json!({"ok": false, "code": "rate_limited", "retryable": true}),
            json!({"success": false, "message": "Server error"}),
            json!({"type": "error", "message": "the server is shutting down"}),
            json!({"error": "too many messages, try again in 1s"}),
        ] {
            assert!(matches!(refused("it", &passing), ClientError::Closed), "{passing}");
        }
        for wrong in [
            json!({"message": "Server error", "code": "invalid"}),
            json!({"success": false, "message": "Invalid token"}),
            json!({"error": "unknown recipient"}),
            json!({}),
        ] {
            assert!(matches!(refused("it", &wrong), ClientError::Unexpected(_)), "{wrong}");
        }
    }
}
