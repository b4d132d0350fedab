//! The column `codes`: pending mailed codes, a JSON object keyed by purpose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{PendingCode, PendingCodes, Timestamp};

#[derive(Serialize, Deserialize)]
struct CodeColumn<'a> {
    digest: &'a str,
    expires: i64,
    failures: u32,
}

/// Parses the column; `None` if it is malformed.
pub(super) fn read(column: &str) -> Option<PendingCodes> {
    let codes: BTreeMap<&str, CodeColumn<'_>> = serde_json::from_str(column).ok()?;
    let code = |(purpose, code): (&str, CodeColumn<'_>)| {
        let CodeColumn { digest, expires, failures } = code;
        let expires_at = Timestamp::from_millis(expires);
        Some((purpose.parse().ok()?, PendingCode { digest: digest.to_owned(), expires_at, failures }))
    };
    codes.into_iter().map(code).collect()
}

/// The column for these codes; `None` if there are none.
pub(super) fn written(codes: &PendingCodes) -> Option<String> {
    let column = codes.iter().map(|(purpose, PendingCode { digest, expires_at, failures })| {
        (purpose.word(), CodeColumn { digest, expires: expires_at.millis(), failures: *failures })
    });
    let column: BTreeMap<_, _> = column.collect();
    // Serializing texts and numbers cannot fail.
    if column.is_empty() { None } else { serde_json::to_string(&column).ok() }
}
