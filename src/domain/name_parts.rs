//! First and last names, for dialects that show them separately.

/// A person's name in its two parts, each trimmed; either may be empty.
///
/// An account has one name. Its parts are stored in addition, and used only while they form that name: a name that is changed as a
/// whole is split at its first space until its parts are given again.
///
/// ```
/// use deskline::domain::NameParts;
/// let parts = NameParts::new("Mary Ann", "Smith");
/// assert_eq!(NameParts::of("Mary Ann Smith", Some(&parts)), parts);
/// assert_eq!(NameParts::of("Mary Ann Jones", Some(&parts)), NameParts::new("Mary", "Ann Jones"));
/// assert_eq!(NameParts::of("Mary", None), NameParts::new("Mary", ""));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameParts {
    /// The first part, for example `Mary Ann`.
    pub first: String,
    /// The rest.
    pub last: String,
}

impl NameParts {
    /// A name in two parts.
    #[must_use]
    pub fn new(first: &str, last: &str) -> Self {
        Self { first: first.trim().to_owned(), last: last.trim().to_owned() }
    }

    /// The parts of a name: the stored ones if they form it, else the text before and after its first space.
    #[must_use]
    pub fn of(name: &str, kept: Option<&Self>) -> Self {
        if let Some(kept) = kept.filter(|kept| kept.full() == name) {
            return kept.clone();
        }
        let (first, last) = name.split_once(' ').unwrap_or((name, ""));
        Self::new(first, last)
    }

    /// Both parts, joined by a space.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{} {}", self.first, self.last).trim().to_owned()
    }
}
