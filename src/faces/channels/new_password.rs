//! Bounds on new passwords, which are Django's in both dialects.

use super::reply::Problem;
use crate::accounts::fields::NewPassword;

/// Shortest new password, in characters: Django's default.
const MIN_CHARS: usize = 8;

/// Whether a new password is shorter than Django accepts.
pub(in crate::faces) fn is_too_short(password: &str) -> bool {
    password.chars().count() < MIN_CHARS
}

/// Parses a new password. Errors name `field`. `too_short`: the dialect's error for a password that is too short.
pub(in crate::faces) fn new_password(password: String, field: &str, too_short: &str) -> Result<NewPassword, Problem> {
    if is_too_short(&password) {
        return Err(Problem::fields(&[(field, too_short)]));
    }
    NewPassword::parse(password)
        .map_err(|_| Problem::fields(&[(field, "Ensure this field has no more than 1024 bytes.")]))
}
