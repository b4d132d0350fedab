//! Temporary bans of networks and people.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use super::{Timestamp, UserId};

/// Who is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Banned {
    /// Everybody who connects from this network.
    Network(IpNet),
    /// An account or a visitor.
    Person(UserId),
}

/// The text is neither a network nor an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a network nor the id of a person")]
pub struct BannedError;

/// The form that stores use: `192.0.2.0/24`, or an id of 24 hex digits.
///
/// ```
/// use deskline::domain::Banned;
/// for text in ["192.0.2.0/24", "2001:db8::/64", "6565f0c80000000000000001"] {
///     assert_eq!(text.parse::<Banned>().unwrap().to_string(), text);
/// }
/// assert!("everybody".parse::<Banned>().is_err());
/// ```
impl fmt::Display for Banned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Person(id) => id.fmt(f),
        }
    }
}

impl FromStr for Banned {
    type Err = BannedError;

    fn from_str(text: &str) -> Result<Self, BannedError> {
        match text.parse::<IpNet>() {
            Ok(network) => Ok(Self::Network(network.trunc())),
            Err(_) => text.parse().map(Self::Person).map_err(|_| BannedError),
        }
    }
}

/// A ban, and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub who: Banned,
    /// Until when.
    pub until: Timestamp,
}
