//! Names, user names and passwords: parsed once, then trusted.

use std::fmt;

use crate::auth::password::MAX_PASSWORD;
use crate::domain::NameParts;

/// A person's name: 1 to 100 characters after trimming, none of them a control character.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    full: String,
    parts: Option<NameParts>,
}

/// The text cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name of 1 to 100 characters")]
pub struct NameError;

impl Name {
    /// The maximum length, in characters.
    pub const MAX: usize = 100;

    /// Parses a name.
    ///
    /// # Errors
    /// [`NameError`] if it is empty, too long, or holds control characters.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = text.trim();
        let fits = !name.is_empty() && name.chars().count() <= Self::MAX;
        if fits && !name.contains(char::is_control) {
            Ok(Self { full: name.to_owned(), parts: None })
        } else {
            Err(NameError)
        }
    }

    /// Parses a name that is given in two parts. Either may be empty, but not both.
    ///
    /// # Errors
    /// [`NameError`], as for the whole.
    pub fn parse_parts(first: &str, last: &str) -> Result<Self, NameError> {
        let parts = NameParts::new(first, last);
        Ok(Self { parts: Some(parts.clone()), ..Self::parse(&parts.full())? })
    }

    /// Its parts, if it was given in two.
    #[must_use]
    pub fn parts(&self) -> Option<&NameParts> {
        self.parts.as_ref()
    }

    /// The name.
    #[must_use]
    pub fn into_string(self) -> String {
        self.full
    }
}

/// A name to log in with: 1 to 150 letters, digits and `._+-`. It has no `@`, so that it cannot be mistaken for an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Username(String);

/// The text cannot be a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a username of 1 to 150 letters, digits and ._+-")]
pub struct UsernameError;

impl Username {
    /// The maximum length, in characters.
    pub const MAX: usize = 150;

    /// Parses a username.
    ///
    /// # Errors
    /// [`UsernameError`] if it is empty or too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        let name = text.trim();
        let fits = (1..=Self::MAX).contains(&name.chars().count());
        let is_plain = name.chars().all(|c| c.is_alphanumeric() || "._+-".contains(c));
        if fits && is_plain { Ok(Self(name.to_owned())) } else { Err(UsernameError) }
    }

    /// The username.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A new password: at least 6 characters, at most 1024 bytes. Existing passwords are not checked.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

/// The password cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NewPasswordError {
    /// It has fewer than 6 characters.
    #[error("the password has fewer than 6 characters")]
    TooShort,
    /// It has more than 1024 bytes.
    #[error("the password has more than 1024 bytes")]
    TooLong,
}

impl NewPassword {
    /// The minimum length, in characters.
    pub const MIN: usize = 6;

    /// Checks the length of a new password.
    ///
    /// # Errors
    /// [`NewPasswordError`].
    pub fn parse(text: String) -> Result<Self, NewPasswordError> {
        if text.len() > MAX_PASSWORD {
            Err(NewPasswordError::TooLong)
        } else if text.chars().count() < Self::MIN {
            Err(NewPasswordError::TooShort)
        } else {
            Ok(Self(text))
        }
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Passwords stay out of logs, so the debug form hides them.
impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_have_bounds() {
        assert_eq!(Name::parse("  Änn Lee ").unwrap().into_string(), "Änn Lee");
        assert!(Name::parse(&"é".repeat(100)).is_ok());
        for text in ["", "  ", "a\0b", "a\nb", &"x".repeat(101)] {
            assert_eq!(Name::parse(text), Err(NameError), "{text:?}");
        }
    }

    #[test]
    fn usernames_are_not_addresses() {
        assert_eq!(Username::parse(" ann.lee ").unwrap().into_string(), "ann.lee");
        for text in ["", " ", "ann@x.test", "a b", "a\0b", "<ann>", &"x".repeat(151)] {
            assert_eq!(Username::parse(text), Err(UsernameError), "{text:?}");
        }
    }

    #[test]
    fn new_passwords_have_bounds() {
        assert!(NewPassword::parse("sécret".into()).is_ok());
        assert_eq!(NewPassword::parse("éééé".into()), Err(NewPasswordError::TooShort));
        assert_eq!(NewPassword::parse("x".repeat(1025)), Err(NewPasswordError::TooLong));
    }
}
