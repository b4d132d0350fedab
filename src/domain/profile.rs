//! Optional details of an account, in addition to its name and address.

use super::{BirthDate, NameParts};

/// A part of a [`User`](super::User), for dialects whose people have more than a name and an address. Most fields of most people are
/// empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// A name to log in with, unique.
    pub username: Option<String>,
    /// The parts of the account's name, if they were given separately.
    pub name_parts: Option<NameParts>,
    /// An address that was never confirmed; empty for none.
    pub contact_email: String,
    /// Empty for none.
    pub phone: String,
    /// `None` if it is not known.
    pub birth_date: Option<BirthDate>,
    /// SHA-256 of the secret in a visitor's session cookie, in hex; unique.
    pub session: Option<String>,
}
