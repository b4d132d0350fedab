//! The limited actions, and their default rates.

use std::str::FromStr;

use super::{Rate, RateError};

/// An action that costs the server more than its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A Socket.IO handshake without a token.
    Handshake,
    /// A log-in with a password.
    LogIn,
    /// A registration.
    Registration,
    /// A mail to an address that the client supplies.
    Mail,
    /// Entering a mailed code.
    Code,
    /// Opening a storefront conversation.
    Room,
    /// An upload.
    Upload,
    /// A search, or another request that scans many rows.
    Search,
    /// An upload, counted by person.
    PersonUpload,
    /// A search, counted by person.
    PersonSearch,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 10] = [
        Self::Handshake,
        Self::LogIn,
        Self::Registration,
        Self::Mail,
        Self::Code,
        Self::Room,
        Self::Upload,
        Self::Search,
        Self::PersonUpload,
        Self::PersonSearch,
    ];

    /// Its name in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshakes",
            Self::LogIn => "log-ins",
            Self::Registration => "registrations",
            Self::Mail => "mails",
            Self::Code => "codes",
            Self::Room => "rooms",
            Self::Upload => "uploads",
            Self::Search => "searches",
            Self::PersonUpload => "person-uploads",
            Self::PersonSearch => "person-searches",
        }
    }

    /// Default rate per address, or per person. An address may be an undeclared proxy, so the rates are several times what the
    /// busiest ten minutes of a shop with 10,000 visitors a day need (some 250 visitors, few of whom register or upload).
    const fn usual(self) -> &'static str {
        match self {
            Self::Handshake => "20000/1m",
            Self::LogIn => "600/10m:100",
            Self::Registration | Self::Mail | Self::PersonUpload => "60/10m",
            Self::Code => "120/10m",
            Self::Room | Self::Upload => "600/10m",
            Self::Search => "600/1m",
            Self::PersonSearch => "120/1m",
        }
    }

    /// The counterpart that is counted by person, if there is one.
    #[must_use]
    pub const fn by_person(self) -> Option<Self> {
        match self {
            Self::Upload => Some(Self::PersonUpload),
            Self::Search => Some(Self::PersonSearch),
            _ => None,
        }
    }
}

/// A rate from the settings: `registrations=60/10m`, `mails=off`, or `all=off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionRate {
    /// `None` for all actions.
    action: Option<Action>,
    /// `None` for no limit.
    rate: Option<Rate>,
}

/// The text is not a valid rate setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionRateError {
    /// There is no `=`, or no such action.
    #[error("unknown limit {0:?}\nhint: write NAME=RATE, with NAME one of {names}, or all", names = names())]
    Action(String),
    /// The rate is malformed.
    #[error("{0:?} is {1}\nhint: write registrations=60/10m, or registrations=off")]
    Rate(String, RateError),
}

fn names() -> String {
    Action::ALL.map(Action::name).join(", ")
}

impl ActionRate {
    /// The rate of an action: the last of `changes` that applies to it, or the default.
    pub(super) fn of(action: Action, changes: &[Self]) -> Option<Rate> {
        let change = changes.iter().rev().find(|change| change.action.is_none_or(|named| named == action));
        match change {
            Some(change) => change.rate,
            None => action.usual().parse().ok(),
        }
    }
}

impl FromStr for ActionRate {
    type Err = ActionRateError;

    fn from_str(text: &str) -> Result<Self, ActionRateError> {
        let (name, rate) = text.trim().split_once('=').ok_or_else(|| ActionRateError::Action(text.to_owned()))?;
        let action = match name.trim() {
            "all" => None,
            name => {
                let known = Action::ALL.into_iter().find(|action| action.name() == name);
                Some(known.ok_or_else(|| ActionRateError::Action(name.to_owned()))?)
            }
        };
        let rate = match rate.trim() {
            "off" => None,
            rate => Some(rate.parse().map_err(|error| ActionRateError::Rate(rate.to_owned(), error))?),
        };
        Ok(Self { action, rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_default_that_can_be_changed_by_name() {
        for action in Action::ALL {
            assert!(ActionRate::of(action, &[]).is_some(), "{action:?}");
            let change = format!("{}=7/1s", action.name()).parse().unwrap();
            assert_eq!(ActionRate::of(action, &[change]).map(|rate| rate.burst()), Some(7), "{action:?}");
        }
        let changes = ["all=off".parse().unwrap(), "mails=1/1s".parse().unwrap()];
        assert_eq!(ActionRate::of(Action::Room, &changes), None);
        assert!(ActionRate::of(Action::Mail, &changes).is_some());
    }

    #[test]
    fn a_text_that_is_not_a_rate_is_rejected() {
        for text in
            ["", "mails", "males=1/1s", "mails=", "mails=1", "mails=0/1s", "mails=1/0s", "mails=-1/1s", "mails=1/1s:0"]
        {
            assert!(text.parse::<ActionRate>().is_err(), "{text}");
        }
    }
}
