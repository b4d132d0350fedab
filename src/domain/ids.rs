//! Ids are types, so that a function taking two of them cannot be called the wrong way round.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Timestamp;

/// A text that is not 24 hex digits was given where an id belongs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of 24 hex digits")]
pub struct IdError;

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Twelve bytes, written as 24 lower-case hex digits: four of seconds since 1970, so that ids sort roughly
        /// by age, and eight that are random.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 12]);

        impl $name {
            /// A fresh id, made at `now`.
            #[must_use]
            pub fn generate(now: Timestamp) -> Self {
                let seconds = u32::try_from(now.millis() / 1000).unwrap_or_default();
                let mut bytes = [0; 12];
                bytes[..4].copy_from_slice(&seconds.to_be_bytes());
                bytes[4..].copy_from_slice(&rand::random::<[u8; 8]>());
                Self(bytes)
            }

            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 12]) -> Self {
                Self(bytes)
            }

            /// The id's bytes, as stores keep them.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 12] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0_u8; 24];
                hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
                f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 12];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError)?;
                Ok(Self(bytes))
            }
        }
    };
}

object_id! {
    /// Names one account or visitor.
    ///
    /// ```
    /// use deskline::domain::UserId;
    /// let id: UserId = "6b0154b6789b7d07c9ad717a".parse().unwrap();
    /// assert_eq!(id.to_string(), "6b0154b6789b7d07c9ad717a");
    /// assert!("not-an-id".parse::<UserId>().is_err());
    /// ```
    UserId
}
object_id! {
    /// Names one message, in any conversation.
    MessageId
}
object_id! {
    /// Names one conversation.
    ConversationId
}

/// Names one live socket for as long as this process runs. Later ones are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The next unused one.
    #[must_use]
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_its_own_text_in_either_case() {
        let id = MessageId::generate(Timestamp::from_millis(1_700_000_000_000));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn texts_that_are_no_ids_are_refused() {
        let odd = [
            "0".repeat(23),
            "a".repeat(25),
            "a".repeat(26),
            "g".repeat(24),
            "é".repeat(12),
            "+0".repeat(12),
            "0x".repeat(12),
        ];
        let padded = [format!(" {}", "0".repeat(23)), format!("{}\n", "0".repeat(23)), format!("{}\0", "0".repeat(23))];
        for text in ["", "abc"].into_iter().chain(odd.iter().chain(&padded).map(String::as_str)) {
            assert_eq!(text.parse::<UserId>(), Err(IdError), "{text:?}");
        }
    }
}
