//! Recordings of the replaced servers, and how a response is compared with them: same keys, same types, and the same
//! values except for ids, times and secrets.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use serde_json::Value;

use crate::harness::Answer;

/// A recording, which tracks which of its blocks were compared.
pub(crate) struct Recording {
    text: &'static str,
    compared: Mutex<BTreeSet<String>>,
    differing: Mutex<BTreeMap<String, &'static str>>,
}

/// The response to a recorded request.
struct Recorded {
    status: u16,
    body: Value,
    /// The body was too long and is recorded in part.
    is_cut: bool,
    sets_cookie: bool,
    challenge: Option<String>,
}

impl Recording {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, compared: Mutex::new(BTreeSet::new()), differing: Mutex::new(BTreeMap::new()) }
    }

    /// The labels of all blocks: requests and handshakes `[label]`, steps `-- label`, and other lines by their
    /// beginning.
    fn labels(&self) -> BTreeSet<String> {
        let label = |line: &str| {
            if let Some(rest) = line.strip_prefix('[') {
                return rest.split(']').next().unwrap().to_owned();
            }
            let step = line.strip_prefix("-- ");
            step.unwrap_or_else(|| line.split(['{', '[']).next().unwrap().trim()).to_owned()
        };
        // An indented line, or one that begins a frame, belongs to the block before it.
        self.text.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')).map(label).collect()
    }

    fn compare(&self, label: &str) {
        assert!(self.labels().contains(label), "{label} is not in the recording");
        self.compared.lock().insert(label.to_owned());
    }

    /// Names a deliberate difference.
    pub(crate) fn differs(&self, label: &str, why: &'static str) {
        assert!(self.labels().contains(label), "{label} is not in the recording");
        self.differing.lock().insert(label.to_owned(), why);
    }

    /// Asserts that every block was either compared or named as different.
    pub(crate) fn assert_complete(&self) {
        let (compared, differing) = (self.compared.lock(), self.differing.lock());
        let known = |label: &&String| compared.contains(*label) || differing.contains_key(*label);
        let all = self.labels();
        let left_out: Vec<&String> = all.iter().filter(|label| !known(label)).collect();
        assert!(left_out.is_empty(), "neither compared nor named as different: {left_out:?}");
        let both: Vec<&String> = compared.iter().filter(|label| differing.contains_key(*label)).collect();
        assert!(both.is_empty(), "named as different, but compared: {both:?}");
    }

    fn recorded(&self, label: &str) -> Recorded {
        let mut lines = self.text.lines();
        let head = lines.find(|line| line.starts_with(&format!("[{label}] "))).unwrap_or_else(|| panic!("{label}"));
        let (head, challenge) = head.split_once(" www=").unwrap();
        let status = head.split(" -> ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let text = lines.next().unwrap().trim();
        let is_cut = text.starts_with(['{', '[']) && serde_json::from_str::<Value>(text).is_err();
        let body = if is_cut { cut(text) } else { serde_json::from_str(text).unwrap_or_default() };
        let challenge = Some(challenge.to_owned()).filter(|challenge| challenge != "-");
        Recorded { status, body, is_cut, sets_cookie: head.ends_with("setcookie=True"), challenge }
    }

    /// The body of a recorded response.
    pub(crate) fn body(&self, label: &str) -> Value {
        self.compare(label);
        self.recorded(label).body
    }

    /// Asserts that a response has the recorded status, challenge, cookie or none, and at least the recorded body.
    /// `except` names the paths of the body that differ on purpose.
    pub(crate) fn assert_same(&self, answer: &Answer, label: &str, except: &[&str]) {
        let recorded = self.recorded(label);
        assert_eq!(answer.status, recorded.status, "{label}: {}", answer.json);
        assert_eq!(answer.challenge, recorded.challenge, "{label}");
        let sets_cookie = answer.cookie.is_some();
        assert!(sets_cookie == recorded.sets_cookie || except.contains(&"cookie"), "{label}: {:?}", answer.cookie);
        if recorded.is_cut {
            assert_covers(&no_longer_than(&recorded.body, &answer.json), &recorded.body, except);
        } else {
            assert_covers(&answer.json, &recorded.body, except);
        }
        self.compare(label);
    }

    /// The frames that `who` received in a step.
    pub(crate) fn frames(&self, label: &str, who: &str) -> Vec<Value> {
        self.compare(label);
        let prefix = format!("     {who} <- ");
        self.step(label)
            .filter_map(|line| line.strip_prefix(&prefix))
            .map(|json| serde_json::from_str(json).unwrap())
            .collect()
    }

    /// Asserts that nobody received a frame in a recorded step. The caller asserts the same of ours.
    pub(crate) fn assert_silent(&self, label: &str) {
        self.compare(label);
        assert_eq!(self.step(label).count(), 0, "{label}");
    }

    fn step(&self, label: &str) -> impl Iterator<Item = &'static str> {
        let start = format!("-- {label}");
        let lines = self.text.lines().skip_while(move |line| *line != start).skip(1);
        lines.take_while(|line| line.starts_with("     "))
    }

    /// The first frame after a handshake.
    pub(crate) fn greeting(&self, label: &str) -> Value {
        self.compare(label);
        let head = format!("[{label}] accepted");
        let mut lines = self.text.lines().skip_while(|line| !line.starts_with(&head)).skip(1);
        serde_json::from_str(lines.next().unwrap().trim().strip_prefix("<- ").unwrap()).unwrap()
    }

    /// The status with which a handshake was refused.
    pub(crate) fn refusal(&self, label: &str) -> u16 {
        self.compare(label);
        let head = format!("[{label}] HANDSHAKE REJECTED HTTP ");
        let line = self.text.lines().find_map(|line| line.strip_prefix(&head)).unwrap_or_else(|| panic!("{label}"));
        line.split(' ').next().unwrap().parse().unwrap()
    }

    /// The JSON in the line with this beginning.
    pub(crate) fn line(&self, label: &str) -> Value {
        self.compare(label);
        let line = self.text.lines().find(|line| line.starts_with(label)).unwrap_or_else(|| panic!("{label}"));
        let json = &line[line.find('{').unwrap()..];
        serde_json::Deserializer::from_str(json).into_iter().next().unwrap().unwrap()
    }

    /// The quoted words between the brackets of the line with this beginning.
    pub(crate) fn words(&self, label: &str) -> Vec<String> {
        self.compare(label);
        let line = self.text.lines().find(|line| line.starts_with(label)).unwrap_or_else(|| panic!("{label}"));
        let list = line.split(['[', ']']).nth(1).unwrap();
        list.split(", ").map(|word| word.trim_matches('\'').to_owned()).collect()
    }

    /// Whether the block's first line has this end.
    pub(crate) fn says(&self, label: &str, end: &str) -> bool {
        self.compare(label);
        self.text.lines().any(|line| line.trim_start_matches('[').starts_with(label) && line.ends_with(end))
    }
}

/// The complete rows of a list that was recorded in part.
fn cut(text: &str) -> Value {
    let (rows, _) = text.rsplit_once("},{").unwrap();
    let close = |end: &str| serde_json::from_str::<Value>(&format!("{rows}{end}")).ok();
    ["}]", "}]}"].into_iter().find_map(close).unwrap()
}

/// Our value, without the rows that the recording lacks.
fn no_longer_than(recorded: &Value, ours: &Value) -> Value {
    match (recorded, ours) {
        (Value::Array(recorded), Value::Array(ours)) if !recorded.is_empty() => {
            Value::Array(ours.iter().take(recorded.len()).cloned().collect())
        }
        (Value::Object(recorded), Value::Object(ours)) => {
            let shorten = |(key, ours): (&String, &Value)| {
                (key.clone(), recorded.get(key).map_or_else(|| ours.clone(), |recorded| no_longer_than(recorded, ours)))
            };
            Value::Object(ours.iter().map(shorten).collect())
        }
        _ => ours.clone(),
    }
}

/// Values that differ from run to run.
const VOLATILE: [&str; 20] = [
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
    "exp",
    "iat",
    "jti",
];

/// Asserts that `ours` has everything that was recorded. It may have more keys, since one response serves both
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

/// The kind of a value; times are distinguished by their format.
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
