//! Rows of the two products, as Django's serializer writes them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::domain::{Side, Status, Timestamp};

/// One row.
#[derive(Deserialize)]
pub(super) struct Row<'a> {
    #[serde(borrow)]
    pub(super) model: Cow<'a, str>,
    pub(super) pk: Pk,
    #[serde(borrow)]
    pub(super) fields: &'a RawValue,
}

/// A primary key.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Pk {
    Number(u64),
    Text(String),
}

impl Pk {
    /// As the key of a room: a number, or a UUID.
    pub(super) fn room(&self) -> Option<u128> {
        match self {
            Self::Number(number) => Some((*number).into()),
            Self::Text(text) => Uuid::try_parse(text).ok().map(|uuid| uuid.as_u128()),
        }
    }
}

impl fmt::Display for Pk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The fields of a user: of the storefront's `auth.user`, or of the portal's own model, which has a `user_type`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UserFields {
    pub(super) password: String,
    pub(super) username: Option<String>,
    pub(super) email: Option<String>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) is_active: Option<bool>,
    pub(super) is_staff: bool,
    pub(super) is_superuser: bool,
    pub(super) is_verified: Option<bool>,
    pub(super) user_type: Option<String>,
    pub(super) phone_number: Option<String>,
    pub(super) date_of_birth: Option<String>,
    pub(super) date_joined: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
}

/// The fields of a room, of either product.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RoomFields {
    pub(super) user: Option<u64>,
    #[serde(deserialize_with = "or_empty")]
    pub(super) customer_name: String,
    #[serde(deserialize_with = "or_empty")]
    pub(super) customer_email: String,
    #[serde(deserialize_with = "or_empty")]
    pub(super) customer_phone: String,
    #[serde(deserialize_with = "or_empty")]
    pub(super) customer_session: String,
    status: Option<String>,
    is_active: Option<bool>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) last_message_at: Option<String>,
}

impl RoomFields {
    pub(super) fn is_closed(&self) -> bool {
        self.status() == Some(Status::Closed)
    }

    /// The status of the room. The portal only has whether it is open.
    pub(super) fn status(&self) -> Option<Status> {
        match &self.status {
            Some(word) => word.parse().ok(),
            None => (self.is_active == Some(false)).then_some(Status::Closed),
        }
    }
}

/// The time by which messages are sorted.
#[derive(Debug, Deserialize)]
pub(super) struct MessageKey {
    pub(super) room: Pk,
    pub(super) created_at: String,
}

/// The fields of a message, of either product.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MessageFields {
    sender_type: String,
    #[serde(deserialize_with = "or_empty")]
    pub(super) sender_name: String,
    #[serde(alias = "sender_user")]
    pub(super) sender: Option<u64>,
    #[serde(alias = "message")]
    pub(super) content: String,
    pub(super) is_read: bool,
    pub(super) reply_to: Option<u64>,
    attachment: Option<String>,
    pub(super) attachment_name: Option<String>,
}

impl MessageFields {
    /// The path of its file, relative to `MEDIA_ROOT`.
    pub(super) fn attachment(&self) -> Option<&str> {
        self.attachment.as_deref().filter(|path| !path.is_empty())
    }

    /// `customer` and `user` are the customer's side; `admin` and `system` are the desk's.
    pub(super) fn side(&self) -> Side {
        match self.sender_type.as_str() {
            "customer" | "user" => Side::Customer,
            _ => Side::Desk,
        }
    }
}

fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Parses a time. One without a zone, from a project without `USE_TZ`, counts as UTC. `None` if it is missing or malformed.
pub(super) fn time(text: Option<&String>) -> Option<Timestamp> {
    let text = text?;
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn djangos_times_are_read() {
        for (text, millis) in [
            ("2026-11-21T08:22:16.956Z", Some(1_795_249_336_956)),
            ("2026-11-21T08:22:16Z", Some(1_795_249_336_000)),
            ("2026-11-21T10:22:16.956+02:00", Some(1_795_249_336_956)),
            ("2026-11-21T08:22:16.956123", Some(1_795_249_336_956)),
            ("2026-11-21", None),
        ] {
            assert_eq!(time(Some(&text.to_owned())).map(Timestamp::millis), millis, "{text}");
        }
    }
}
