//! Applies entries to the summary of a conversation.

use super::{Entry, EntryKind, LastMessage, Seq, Side, Status, Summary};

/// What a read mark changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadEffect {
    /// Nothing: no entry is appended.
    Nothing,
    /// Everything up to the end of the log is read.
    Everything,
    /// Everything up to this entry is read. The unread messages after it have to be counted in the log.
    Part(Seq),
}

/// Values that do not follow from the summary and the entry alone: they have to be read from the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recount {
    /// After a read mark: how many messages of the other side come after it, without deleted ones.
    pub unread: u64,
    /// After the deletion of the last message: the last one that remains.
    pub last_message: Option<LastMessage>,
}

impl Summary {
    /// What a read mark of `side` up to `up_to` would change.
    ///
    /// A mark changes something only if it covers a message of the other side. Otherwise two readers would keep marking each other's
    /// read marks.
    #[must_use]
    pub fn read_effect(&self, side: Side, up_to: Seq) -> ReadEffect {
        let state = self.side(side);
        let last_message = self.last_message.as_ref().map_or(Seq::ZERO, |last| last.seq);
        if state.unread == 0 || up_to <= state.read {
            ReadEffect::Nothing
        } else if up_to >= last_message {
            ReadEffect::Everything
        } else {
            ReadEffect::Part(up_to)
        }
    }

    /// Whether this is the message that conversation lists show.
    #[must_use]
    pub fn is_last_message(&self, seq: Seq) -> bool {
        self.last_message.as_ref().is_some_and(|last| last.seq == seq)
    }

    /// Applies the next entry of the log. `recount` has the values that have to be read from the log.
    pub fn apply(&mut self, entry: &Entry, recount: Recount) {
        self.last_seq = entry.seq;
        self.updated_at = entry.at;
        match &entry.kind {
            EntryKind::Message(message) => {
                self.status = Status::after_message(entry.side);
                if !self.conversation.members.is_with_oneself() {
                    self.sides[entry.side.other().index()].unread += 1;
                }
                self.last_message = Some(LastMessage {
                    seq: entry.seq,
                    side: entry.side,
                    body: message.original.clone(),
                    at: entry.at,
                });
            }
            EntryKind::Read { up_to } => {
                let side = &mut self.sides[entry.side.index()];
                side.read = side.read.max(*up_to);
                side.unread = recount.unread;
            }
            EntryKind::StatusChanged { status } => self.status = *status,
            EntryKind::Edited { target, body } => {
                if let Some(last) = self.last_message.as_mut().filter(|last| last.seq == target.seq) {
                    last.body = body.clone();
                }
            }
            EntryKind::Deleted { target } => {
                let reader = &mut self.sides[target.side.other().index()];
                if target.seq > reader.read {
                    // In a conversation with oneself, the count is always zero.
                    reader.unread = reader.unread.saturating_sub(1);
                }
                if self.is_last_message(target.seq) {
                    self.last_message = recount.last_message;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Conversation, ConversationId, Members, Message, MessageBody, MessageId, Target, Timestamp, UserId,
    };

    fn summary() -> Summary {
        Summary::opened(Conversation {
            id: ConversationId::from_bytes([1; 12]),
            number: 1,
            uuid: 1,
            members: Members::Support { customer: UserId::from_bytes([2; 12]) },
            created_at: Timestamp::default(),
        })
    }

    fn say(summary: &mut Summary, side: Side) {
        let message = Message {
            id: MessageId::from_bytes([3; 12]),
            number: 1,
            original: MessageBody::stored("hi".into()),
            client_id: None,
            extras: None,
            revision: None,
        };
        apply(summary, side, EntryKind::Message(message), Recount::default());
    }

    fn apply(summary: &mut Summary, side: Side, kind: EntryKind, recount: Recount) {
        let entry = Entry {
            conversation: summary.conversation.id,
            seq: summary.last_seq.next(),
            author: UserId::from_bytes([2; 12]),
            side,
            at: Timestamp::from_millis(7),
            kind,
        };
        summary.apply(&entry, recount);
    }

    fn target(seq: u64, side: Side) -> Target {
        Target { id: MessageId::from_bytes([3; 12]), number: 1, seq: Seq::new(seq), side }
    }

    #[test]
    fn a_message_is_unread_on_the_other_side_only() {
        let mut summary = summary();
        say(&mut summary, Side::Customer);
        assert_eq!(summary.side(Side::Desk).unread, 1);
        assert_eq!(summary.side(Side::Customer).unread, 0);
        assert_eq!(summary.status, Status::Waiting);
    }

    #[test]
    fn a_read_mark_is_announced_once() {
        let mut summary = summary();
        assert_eq!(summary.read_effect(Side::Desk, Seq::new(9)), ReadEffect::Nothing);
        say(&mut summary, Side::Customer);
        say(&mut summary, Side::Customer);
        assert_eq!(summary.read_effect(Side::Desk, Seq::new(1)), ReadEffect::Part(Seq::new(1)));
        assert_eq!(summary.read_effect(Side::Desk, Seq::new(9)), ReadEffect::Everything);
        assert_eq!(summary.read_effect(Side::Customer, Seq::new(9)), ReadEffect::Nothing);
    }

    #[test]
    fn only_an_unread_message_that_is_deleted_lowers_the_count() {
        let mut summary = summary();
        for _ in 0..3 {
            say(&mut summary, Side::Customer);
        }
        let mark = EntryKind::Read { up_to: Seq::new(1) };
        apply(&mut summary, Side::Desk, mark, Recount { unread: 2, ..Recount::default() });
        let delete = |seq| EntryKind::Deleted { target: target(seq, Side::Customer) };
        apply(&mut summary, Side::Customer, delete(1), Recount::default());
        assert_eq!((summary.side(Side::Desk).unread, summary.last_seq.get()), (2, 5));
        apply(&mut summary, Side::Customer, delete(2), Recount::default());
        assert_eq!(summary.side(Side::Desk).unread, 1);
        assert!(summary.is_last_message(Seq::new(3)), "another one was deleted");
        apply(&mut summary, Side::Customer, delete(3), Recount::default());
        assert_eq!((summary.side(Side::Desk).unread, summary.last_message), (0, None));
    }

    #[test]
    fn lists_show_the_current_text_of_the_last_message() {
        let mut summary = summary();
        say(&mut summary, Side::Customer);
        say(&mut summary, Side::Customer);
        let edit = |seq, text: &str| EntryKind::Edited {
            target: target(seq, Side::Customer),
            body: MessageBody::stored(text.into()),
        };
        apply(&mut summary, Side::Customer, edit(1, "not the last"), Recount::default());
        apply(&mut summary, Side::Customer, edit(2, "the last"), Recount::default());
        let last = summary.last_message.unwrap();
        assert_eq!((last.seq.get(), last.body.as_str()), (2, "the last"));
    }
}
