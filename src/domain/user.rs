//! Accounts and visitors.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use time::Date;
use time::macros::format_description;

use super::{Profile, Sessions, Timestamp, UserId};

/// What somebody is allowed to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Writes to the desk.
    Customer,
    /// Answers customers.
    Agent,
    /// Answers customers, and manages accounts.
    Admin,
}

impl Role {
    /// Whether this role answers customers.
    #[must_use]
    pub const fn is_agent(self) -> bool {
        matches!(self, Self::Agent | Self::Admin)
    }

    /// The word stores and tokens use: `user`, `agent` or `admin`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Customer => "user",
            Self::Agent => "agent",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "user" | "customer" => Ok(Self::Customer),
            "agent" => Ok(Self::Agent),
            "admin" => Ok(Self::Admin),
            _ => Err(UnknownWord("user, agent, admin")),
        }
    }
}

/// Whether an account may be used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AccountStatus {
    /// Its e-mail address has not been confirmed.
    Unverified,
    /// In use.
    Active,
    /// Blocked by an admin.
    Blocked,
}

impl AccountStatus {
    /// The word stores and dashboards use: `unverified`, `active` or `Blocked`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Active => "active",
            Self::Blocked => "Blocked",
        }
    }
}

impl FromStr for AccountStatus {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "unverified" => Ok(Self::Unverified),
            "active" => Ok(Self::Active),
            "Blocked" | "blocked" => Ok(Self::Blocked),
            _ => Err(UnknownWord("unverified, active, Blocked")),
        }
    }
}

/// The word is not a role or a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of: {0}")]
pub struct UnknownWord(pub(crate) &'static str);

/// An e-mail address, trimmed and in lower case, so that two spellings of one address are equal.
///
/// ```
/// use deskline::domain::Email;
/// let email: Email = " Ann@X.test ".parse().unwrap();
/// assert_eq!(email.as_str(), "ann@x.test");
/// assert!("nobody".parse::<Email>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct EmailError;

impl Email {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`, as a name for an account without one.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(local, _)| local)
    }

    /// Wraps an address that was read from a store, without checking it.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let email = text.trim().to_lowercase();
        let (name, host) = email.rsplit_once('@').ok_or(EmailError)?;
        let plausible = !name.is_empty() && !host.is_empty() && email.len() <= 254;
        if plausible && !email.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',')) {
            Ok(Self(email))
        } else {
            Err(EmailError)
        }
    }
}

/// Addresses stay out of logs, so the debug form hides them.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

/// A date of birth.
///
/// ```
/// use deskline::domain::BirthDate;
/// assert_eq!("1990-02-28".parse::<BirthDate>().unwrap().to_string(), "1990-02-28");
/// assert!("1990-02-30".parse::<BirthDate>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BirthDate(Date);

/// The text is not a date in the form `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a day in the form YYYY-MM-DD")]
pub struct BirthDateError;

impl FromStr for BirthDate {
    type Err = BirthDateError;

    fn from_str(text: &str) -> Result<Self, BirthDateError> {
        let form = format_description!("[year]-[month]-[day]");
        Date::parse(text, form).map(Self).map_err(|_| BirthDateError)
    }
}

impl fmt::Display for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), u8::from(self.0.month()), self.0.day())
    }
}

/// What a mailed one-time code is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CodePurpose {
    /// Confirms the address of a new account.
    VerifyEmail,
    /// Allows a new password to be set.
    ResetPassword,
    /// Completes a log-in.
    LogIn,
}

impl CodePurpose {
    /// The word stores use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify",
            Self::ResetPassword => "reset",
            Self::LogIn => "login",
        }
    }
}

impl FromStr for CodePurpose {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "verify" => Ok(Self::VerifyEmail),
            "reset" => Ok(Self::ResetPassword),
            "login" => Ok(Self::LogIn),
            _ => Err(UnknownWord("verify, reset, login")),
        }
    }
}

/// A one-time code that was mailed and not used yet. Only its SHA-256 is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingCode {
    /// SHA-256 of the code, in hex.
    pub digest: String,
    /// When it expires.
    pub expires_at: Timestamp,
    /// How many wrong codes have been tried.
    pub failures: u32,
}

/// The codes of an account, one per purpose: requesting one does not invalidate the others.
pub type PendingCodes = BTreeMap<CodePurpose, PendingCode>;

/// An account or a visitor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Its id in all dialects.
    pub id: UserId,
    /// Its number, for dialects with integer ids.
    pub number: u64,
    /// Shown to others; never empty for an account.
    pub name: String,
    /// `None` for a visitor.
    pub email: Option<Email>,
    /// `None` for a visitor, who cannot log in.
    pub password_hash: Option<String>,
    /// What they are allowed to do.
    pub role: Role,
    /// Whether the account can be used.
    pub status: AccountStatus,
    /// Mailed codes that were not used yet.
    pub pending_codes: PendingCodes,
    /// Which of their tokens are valid.
    pub sessions: Sessions,
    /// What they have said of themselves.
    pub profile: Profile,
    /// When the account was created.
    pub created_at: Timestamp,
    /// When any field last changed.
    pub updated_at: Timestamp,
}

impl User {
    /// The address, empty for a visitor: clients convert it to lower case without checking, so they must never receive null.
    #[must_use]
    pub fn email_text(&self) -> &str {
        self.email.as_ref().map_or("", Email::as_str)
    }
}

/// A person as others see them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// Its id in all dialects.
    pub id: UserId,
    /// Their number.
    pub number: u64,
    /// Shown to others.
    pub name: String,
    /// Their address; empty for a visitor.
    pub email: String,
    /// What they are allowed to do.
    pub role: Role,
}

impl Person {
    /// Replaces a deleted account, so that its messages can still be shown.
    #[must_use]
    pub fn deleted(id: UserId) -> Self {
        Self { id, number: 0, name: "Deleted user".into(), email: String::new(), role: Role::Customer }
    }
}

impl From<&User> for Person {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            number: user.number,
            name: user.name.clone(),
            email: user.email_text().to_owned(),
            role: user.role,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_part_ends_at_the_first_at_sign() {
        for (text, local) in [("ann@x.test", "ann"), ("a@b@x.test", "a")] {
            assert_eq!(text.parse::<Email>().unwrap().local_part(), local);
        }
        assert_eq!(Email::stored("ann".into()).local_part(), "ann");
    }

    #[test]
    fn addresses_that_could_forge_a_header_are_refused() {
        for text in ["a@b\r\nBcc: c@d", "@x", "x@", "a b@c", "<a@b>", ""] {
            assert_eq!(text.parse::<Email>(), Err(EmailError), "{text:?}");
        }
    }

    #[test]
    fn words_are_read_back() {
        for role in [Role::Customer, Role::Agent, Role::Admin] {
            assert_eq!(role.word().parse(), Ok(role));
        }
        for status in [AccountStatus::Unverified, AccountStatus::Active, AccountStatus::Blocked] {
            assert_eq!(status.word().parse(), Ok(status));
        }
    }
}
