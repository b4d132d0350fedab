//! Revoked tokens of an account, as two fields of its document.

use std::collections::BTreeMap;

use bson::{Bson, DateTime, Document, doc};

use super::documents::{date, time};
use crate::domain::Sessions;

/// The field with the second from which tokens are valid.
const VALID_FROM: &str = "sessionsValidFrom";

/// The field with the tokens that were logged out, by digest, and when they expire.
const ENDED: &str = "endedTokens";

/// Reads the fields. Keys that are not digests are ignored.
pub(super) fn read(valid_from: i64, ended: &BTreeMap<String, DateTime>) -> Sessions {
    let ended = ended.iter().filter_map(|(digest, until)| Some((digest.parse().ok()?, time(*until)))).collect();
    Sessions { valid_from, ended }
}

/// Matches accounts whose tokens are valid from the same second.
pub(super) fn same_start(sessions: &Sessions) -> Document {
    match sessions.valid_from {
        0 => doc! { VALID_FROM: { "$in": [0, Bson::Null] } },
        from => doc! { VALID_FROM: from },
    }
}

/// The fields, for an account that is written as a whole.
pub(super) fn fields(sessions: &Sessions) -> Document {
    let mut fields = Document::new();
    if sessions.valid_from > 0 {
        fields.insert(VALID_FROM, sessions.valid_from);
    }
    if !sessions.ended.is_empty() {
        let ended = sessions.ended.iter().map(|(digest, until)| (digest.to_string(), date(*until).into()));
        fields.insert(ENDED, ended.collect::<Document>());
    }
    fields
}

/// Adds the change from one state to the other to an update. Each token has its own field and the start moves forward
/// only, so two processes that end sessions at the same time lose nothing.
pub(super) fn add_change(update: &mut Document, before: &Sessions, after: &Sessions) {
    if after.valid_from > before.valid_from {
        // Tokens that were logged out before are invalid by their age now.
        merge(update, "$max", doc! { VALID_FROM: after.valid_from });
        merge(update, "$unset", doc! { ENDED: "" });
        return;
    }
    let field = |digest: &dyn std::fmt::Display| format!("{ENDED}.{digest}");
    let fresh = after.ended.iter().filter(|(digest, _)| !before.ended.contains_key(digest));
    merge(update, "$set", fresh.map(|(digest, until)| (field(digest), date(*until).into())).collect());
    let expired = before.ended.keys().filter(|digest| !after.ended.contains_key(digest));
    merge(update, "$unset", expired.map(|digest| (field(digest), "".into())).collect());
}

fn merge(update: &mut Document, operator: &str, fields: Document) {
    if fields.is_empty() {
        return;
    }
    match update.get_document_mut(operator) {
        Ok(there) => there.extend(fields),
        Err(_) => drop(update.insert(operator, fields)),
    }
}
