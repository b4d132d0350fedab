//! Receipts: a message is stored, then sent, then delivered, then read.

use super::Seq;

/// How far one side of a conversation has been sent, and has received, the other side's messages. Moves forward only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReceiptCursor {
    /// Everything up to here was sent on a connection of that side, or received.
    pub sent: Seq,
    /// Everything up to here was received: a client confirmed it, or read that part of the log.
    pub delivered: Seq,
}

impl ReceiptCursor {
    /// The maximum of both, field by field.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { sent: self.sent.max(other.sent), delivered: self.delivered.max(other.delivered) }
    }

    /// The status of the message with this seq, if the same side has read everything up to `read`.
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

/// The delivery status of a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MessageStatus {
    /// It is durable.
    Stored,
    /// It was sent on a connection of the other side.
    Sent,
    /// A client of the other side received it.
    Delivered,
    /// The other side has marked it as read.
    Read,
}

impl MessageStatus {
    /// The word that protocols use.
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
