//! Messages as the old server, or another program, wrote them.

use std::collections::HashSet;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document};

use super::documents::{date, time};
use crate::domain::{Members, MessageId, Timestamp, UserId};

/// A message of the old server.
pub(super) struct OldMessage {
    pub(super) id: MessageId,
    pub(super) sender: UserId,
    pub(super) receiver: UserId,
    pub(super) text: String,
    pub(super) at: Timestamp,
    /// The fields that had another type than the old server uses, converted to that type.
    pub(super) odd: Document,
}

impl OldMessage {
    /// Reads a document as far as possible: a number as its digits, a date from text; in place of any other date, the
    /// time of the id.
    ///
    /// # Errors
    /// The name of the first unreadable field without which it is not a message.
    pub(super) fn read(document: &Document) -> Result<Self, &'static str> {
        let id = document.get_object_id("_id").map_err(|_| "_id")?;
        let person = |field| document.get_object_id(field).ok().map(|id: ObjectId| UserId::from_bytes(id.bytes()));
        let mut odd = Document::new();
        let text = match document.get("message") {
            Some(Bson::String(text)) => text.clone(),
            Some(value) => {
                let text = as_text(value).ok_or("message")?;
                odd.insert("message", &text);
                text
            }
            None => return Err("message"),
        };
        let at = match document.get("createdAt") {
            Some(Bson::DateTime(at)) => time(*at),
            None | Some(Bson::Null) => time(id.timestamp()),
            Some(value) => {
                let at = as_time(value).unwrap_or_else(|| time(id.timestamp()));
                odd.insert("createdAt", date(at));
                at
            }
        };
        Ok(Self {
            id: MessageId::from_bytes(id.bytes()),
            sender: person("sender").ok_or("sender")?,
            receiver: person("receiver").ok_or("receiver")?,
            text,
            at,
            odd,
        })
    }

    /// A message between an agent and somebody who is not an agent belongs to that person's support conversation. So
    /// does a message to an id by which customers know the desk, even if that account was demoted or deleted since.
    pub(super) fn members(&self, agents: &HashSet<UserId>, desk: &HashSet<UserId>) -> Members {
        match (agents.contains(&self.sender), agents.contains(&self.receiver)) {
            (true, false) => Members::Support { customer: self.receiver },
            (false, true) => Members::Support { customer: self.sender },
            (false, false) if desk.contains(&self.receiver) && self.sender != self.receiver => {
                Members::Support { customer: self.sender }
            }
            (true, true) | (false, false) => Members::direct(self.sender, self.receiver),
        }
    }
}

fn as_text(value: &Bson) -> Option<String> {
    match value {
        Bson::Int32(number) => Some(number.to_string()),
        Bson::Int64(number) => Some(number.to_string()),
        Bson::Double(number) => Some(number.to_string()),
        Bson::Decimal128(number) => Some(number.to_string()),
        Bson::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn as_time(value: &Bson) -> Option<Timestamp> {
    match value {
        Bson::String(text) => {
            let text = text.trim();
            let whole = DateTime::parse_rfc3339_str(text);
            whole.or_else(|_| DateTime::parse_rfc3339_str(format!("{text}T00:00:00Z"))).ok().map(time)
        }
        Bson::Int64(millis) => Some(Timestamp::from_millis(*millis)),
        #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds; values out of range are clamped")]
        Bson::Double(millis) => Some(Timestamp::from_millis(*millis as i64)),
        Bson::Timestamp(at) => Some(Timestamp::from_millis(i64::from(at.time) * 1000)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn message(field: &str, value: Bson) -> Document {
        let [id, sender, receiver] = [0x66, 1, 2].map(|n| ObjectId::from_bytes([n; 12]));
        let mut document = doc! {
            "_id": id, "sender": sender, "receiver": receiver, "message": "hi",
            "createdAt": DateTime::from_millis(1_700_000_000_000),
        };
        document.insert(field, value);
        document
    }

    #[test]
    fn malformed_fields_are_read_as_far_as_possible() {
        let made = time(ObjectId::from_bytes([0x66; 12]).timestamp());
        for (value, at) in [
            ("2023-11-14T22:13:20.000Z".into(), Timestamp::from_millis(1_700_000_000_000)),
            ("2023-11-14".into(), Timestamp::from_millis(1_699_920_000_000)),
            (1_700_000_000_000_i64.into(), Timestamp::from_millis(1_700_000_000_000)),
            (1_700_000_000_000_f64.into(), Timestamp::from_millis(1_700_000_000_000)),
            ("yesterday".into(), made),
            (vec![1].into(), made),
        ] {
            let read =
                OldMessage::read(&message("createdAt", Bson::clone(&value))).unwrap_or_else(|_| panic!("{value}"));
            assert_eq!((read.at, read.odd), (at, doc! { "createdAt": date(at) }), "{value}");
        }
        for (value, text) in [(7.into(), "7"), (1.5.into(), "1.5"), (true.into(), "true")] {
            let read = OldMessage::read(&message("message", Bson::clone(&value))).unwrap_or_else(|_| panic!("{value}"));
            assert_eq!((read.text.as_str(), read.odd), (text, doc! { "message": text }));
        }
        assert!(OldMessage::read(&message("createdAt", Bson::Null)).is_ok_and(|read| read.odd.is_empty()));
        for (field, value) in [
            ("_id", Bson::from("m1")),
            ("sender", "ann".into()),
            ("receiver", Bson::Null),
            ("message", Bson::Null),
            ("message", doc! { "$ne": 1 }.into()),
        ] {
            assert_eq!(OldMessage::read(&message(field, value)).map(|read| read.text), Err(field));
        }
    }
}
