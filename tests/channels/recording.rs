//! What was recorded of the replaced servers, and how an answer is compared with it: same keys, same types, and the same
//! values but for ids, times and secrets.

use serde_json::Value;

/// The status and body of the request recorded under this label.
pub(crate) fn request(text: &str, label: &str) -> (u16, Value) {
    let mut lines = text.lines();
    let head = lines.find(|line| line.starts_with(&format!("[{label}] "))).unwrap_or_else(|| panic!("{label}"));
    let status = head.split(" -> ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let body = lines.next().unwrap().trim();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// The frames that `who` got in the step `-- label`.
pub(crate) fn frames(text: &str, label: &str, who: &str) -> Vec<Value> {
    let start = format!("-- {label}");
    let lines = text.lines().skip_while(|line| *line != start).skip(1);
    let lines = lines.take_while(|line| line.starts_with("     "));
    let prefix = format!("     {who} <- ");
    lines.filter_map(|line| line.strip_prefix(&prefix)).map(|json| serde_json::from_str(json).unwrap()).collect()
}

/// The first frame after the handshake recorded under this label.
pub(crate) fn greeting(text: &str, label: &str) -> Value {
    let head = format!("[{label}] accepted");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&head)).skip(1);
    serde_json::from_str(lines.next().unwrap().trim().strip_prefix("<- ").unwrap()).unwrap()
}

/// Values that differ from run to run.
const VOLATILE: [&str; 17] = [
    "id",
    "created_at",
    "updated_at",
    "last_message_at",
    "read_at",
    "customer_session",
    "room_id",
    "user_id",
    "message_id",
    "sender_id",
    "read_by",
    "user",
    "room",
    "sender",
    "recipient",
    "access",
    "refresh",
];

/// Asserts that `ours` has everything that was recorded. It may have more keys: that is how one answer serves both
/// generations. `except` names the paths that differ on purpose.
pub(crate) fn assert_covers(ours: &Value, recorded: &Value, except: &[&str]) {
    covers(ours, recorded, except, "");
}

fn covers(ours: &Value, recorded: &Value, except: &[&str], path: &str) {
    if except.contains(&path) {
        return;
    }
    match (ours, recorded) {
        (Value::Object(ours), Value::Object(recorded)) => {
            for (key, recorded) in recorded {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let found = ours.get(key).unwrap_or_else(|| panic!("{path} is missing in {ours:?}"));
                if VOLATILE.contains(&key.as_str()) && !recorded.is_object() {
                    assert_eq!(shape(found), shape(recorded), "{path}");
                } else {
                    covers(found, recorded, except, &path);
                }
            }
        }
        (Value::Array(ours), Value::Array(recorded)) => {
            assert_eq!(ours.len(), recorded.len(), "{path}: {ours:?}");
            for (ours, recorded) in ours.iter().zip(recorded) {
                covers(ours, recorded, except, path);
            }
        }
        _ => assert_eq!(ours, recorded, "{path}"),
    }
}

/// What kind of value it is; times are told apart by how they end.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(text) if text.ends_with("+00:00") => "time of a frame".into(),
        Value::String(text) if text.ends_with('Z') && text.contains('T') => "time of a request".into(),
        Value::String(_) => "text".into(),
        Value::Array(_) => "array".into(),
        Value::Object(_) => "object".into(),
    }
}
