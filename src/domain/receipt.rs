//! How far a message has come: stored → sent → delivered → read, each by the event that causes it.

use super::Seq;

/// How far one side of a conversation has come to hear of what the other said. Moves forward only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReceiptCursor {
    /// Everything up to here was handed to a live connection of that side, or taken.
    pub sent: Seq,
    /// Everything up to here was taken: a client acknowledged it, or asked for the part of the log that has it.
    pub delivered: Seq,
}

impl ReceiptCursor {
    /// The further of both, for each step.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { sent: self.sent.max(other.sent), delivered: self.delivered.max(other.delivered) }
    }

    /// How far the message with this seq has come, if the same side has read everything up to `read`.
    #[must_use]
    pub fn status_of(&self, message: Seq, read: Seq) -> MessageStatus {
        if message <= read {
            MessageStatus::Read
        } else if message <= self.delivered {
            MessageStatus::Delivered
        } else if message <= self.sent {
            MessageStatus::Sent
        } else {
            MessageStatus::Stored
        }
    }
}

/// How far a message has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MessageStatus {
    /// It is durable.
    Stored,
    /// A live connection of the other side was handed it.
    Sent,
    /// A client of the other side took it.
    Delivered,
    /// The other side has marked it as read.
    Read,
}

impl MessageStatus {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_furthest_status_that_covers_it() {
        let cursor = ReceiptCursor { sent: Seq::new(4), delivered: Seq::new(3) };
        let words: Vec<_> = (1..=5).map(|seq| cursor.status_of(Seq::new(seq), Seq::new(2)).word()).collect();
        assert_eq!(words, ["read", "read", "delivered", "sent", "stored"]);
    }
}
