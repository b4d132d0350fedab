//! Messages.

use std::str::FromStr;

use super::{Attachment, MessageId, Seq, Timestamp};

/// The text of a message: trimmed, not empty, without NUL, and not longer than allowed. Made by [`MessageBody::parse`].
///
/// ```
/// use deskline::domain::{BodyError, MessageBody};
/// assert_eq!(MessageBody::parse("  hi ", 10).unwrap().as_str(), "hi");
/// assert_eq!(MessageBody::parse("   ", 10), Err(BodyError::Blank));
/// assert_eq!(MessageBody::parse("hello", 4), Err(BodyError::TooLong { limit: 4 }));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageBody(String);

/// Why a text cannot be a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Nothing is left after trimming.
    #[error("message is blank")]
    Blank,
    /// Longer than allowed.
    #[error("message is longer than {limit} characters")]
    TooLong {
        /// The most characters allowed.
        limit: usize,
    },
    /// Has a NUL character, which not every store can hold.
    #[error("message contains a NUL character")]
    Nul,
}

impl MessageBody {
    /// Trims `text` and checks it against `limit`, in characters.
    ///
    /// # Errors
    /// [`BodyError`] if the text cannot be a message.
    pub fn parse(text: &str, limit: usize) -> Result<Self, BodyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BodyError::Blank);
        }
        // A character has at least one byte, so short texts need no count.
        if text.len() > limit && text.chars().count() > limit {
            return Err(BodyError::TooLong { limit });
        }
        if text.contains('\0') {
            return Err(BodyError::Nul);
        }
        Ok(Self(text.to_owned()))
    }

    /// Wraps a text that was read from a store, without checking it.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id that a client gives a message: 1 to 128 characters, unique per author and conversation.
///
/// Sending the same one again returns the first message.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ClientMessageId(String);

/// The text cannot be a client message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("clientMessageId must be a text of 1 to 128 characters")]
pub struct ClientMessageIdError;

impl ClientMessageId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientMessageId {
    type Err = ClientMessageIdError;

    fn from_str(text: &str) -> Result<Self, ClientMessageIdError> {
        if text.is_empty() || text.chars().count() > 128 || text.contains('\0') {
            return Err(ClientMessageIdError);
        }
        Ok(Self(text.to_owned()))
    }
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its id in all dialects.
    pub id: MessageId,
    /// Its number, for dialects with integer ids.
    pub number: u64,
    /// The text as it was sent. People are shown [`text`](Self::text).
    pub original: MessageBody,
    /// The client's id for it.
    pub client_id: Option<ClientMessageId>,
    /// Its data in addition to the text; `None` for most messages. Boxed, to keep those small.
    pub extras: Option<Box<MessageExtras>>,
    /// Its last edit or deletion; `None` if there was none. Follows from the log.
    pub revision: Option<Revision>,
}

/// The last edit of a message, or its deletion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revision {
    /// The seq of the edit or the deletion.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// The new text; `None` if the message was deleted, which is final.
    pub text: Option<MessageBody>,
}

impl Message {
    /// The current text; `None` if it was deleted.
    #[must_use]
    pub const fn text(&self) -> Option<&MessageBody> {
        match &self.revision {
            None => Some(&self.original),
            Some(revision) => revision.text.as_ref(),
        }
    }

    /// The number of the message that it answers.
    #[must_use]
    pub fn reply_to(&self) -> Option<u64> {
        self.extras.as_ref()?.reply_to
    }

    /// The file that it was sent with.
    #[must_use]
    pub fn attachment(&self) -> Option<&Attachment> {
        self.extras.as_ref()?.attachment.as_ref()
    }

    /// When it was last edited; `None` if it never was, or was deleted.
    #[must_use]
    pub fn edited_at(&self) -> Option<Timestamp> {
        self.revision.as_ref().filter(|revision| revision.text.is_some()).map(|revision| revision.at)
    }

    /// When it was deleted; `None` if it was not.
    #[must_use]
    pub fn deleted_at(&self) -> Option<Timestamp> {
        self.revision.as_ref().filter(|revision| revision.text.is_none()).map(|revision| revision.at)
    }
}

/// The data of a message in addition to its text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MessageExtras {
    /// The number of the message that it answers.
    pub reply_to: Option<u64>,
    /// A file.
    pub attachment: Option<Attachment>,
}

impl MessageExtras {
    /// As [`Message::extras`]: `None` if there is nothing.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        let is_empty = self.reply_to.is_none() && self.attachment.is_none();
        (!is_empty).then(|| Box::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters_and_not_bytes() {
        assert!(MessageBody::parse("éééé", 4).is_ok());
        assert_eq!(MessageBody::parse("ééééé", 4), Err(BodyError::TooLong { limit: 4 }));
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(MessageBody::parse("a\0b", 9), Err(BodyError::Nul));
    }
}
