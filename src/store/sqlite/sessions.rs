//! The column of revoked tokens: a JSON object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::domain::session::Sessions;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionsColumn {
    valid_from: i64,
    ended: BTreeMap<String, i64>,
}

/// Parses the column; `None` if it is malformed.
pub(super) fn read(column: &str) -> Option<Sessions> {
    let SessionsColumn { valid_from, ended } = serde_json::from_str(column).ok()?;
    let ended = ended.iter().map(|(digest, until)| Some((digest.parse().ok()?, Timestamp::from_millis(*until))));
    Some(Sessions { valid_from, ended: ended.collect::<Option<_>>()? })
}

/// The column; `None` if no token was revoked.
pub(super) fn written(sessions: &Sessions) -> Option<String> {
    if *sessions == Sessions::default() {
        return None;
    }
    let ended = sessions.ended.iter().map(|(digest, until)| (digest.to_string(), until.millis())).collect();
    // Serializing texts and numbers cannot fail.
    serde_json::to_string(&SessionsColumn { valid_from: sessions.valid_from, ended }).ok()
}
