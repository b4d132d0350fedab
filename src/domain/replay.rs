//! Replays a log from its beginning.

use super::{Conversation, Entry, EntryKind, LastMessage, MessageBody, Recount, Seq, Side, Summary, Timestamp};

/// The state of a conversation after each entry of its log, without lookups. Uses a fixed amount of memory per message: texts stay in
/// the log.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Without the last message.
    summary: Summary,
    /// The seqs that each side has not read, oldest first.
    unread: [Vec<Seq>; 2],
    /// The messages that were not deleted, oldest first.
    spoken: Vec<LastSpoken>,
}

/// The last message that was not deleted, and where the log has its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSpoken {
    /// Its seq.
    pub seq: Seq,
    /// The side of its author.
    pub side: Side,
    /// When.
    pub at: Timestamp,
    /// The entry with its text: the message itself, or its last edit.
    pub text: Seq,
}

impl LastSpoken {
    /// As conversation lists show it, given the entry with its text.
    #[must_use]
    pub fn with_text(self, entry: &Entry) -> Option<LastMessage> {
        let body: &MessageBody = match &entry.kind {
            EntryKind::Message(message) => &message.original,
            EntryKind::Edited { body, .. } => body,
            EntryKind::Read { .. } | EntryKind::StatusChanged { .. } | EntryKind::Deleted { .. } => return None,
        };
        Some(LastMessage { seq: self.seq, side: self.side, body: body.clone(), at: self.at })
    }
}

impl Replay {
    /// Before the first entry.
    #[must_use]
    pub fn opened(conversation: Conversation) -> Self {
        Self { summary: Summary::opened(conversation), unread: [Vec::new(), Vec::new()], spoken: Vec::new() }
    }

    /// Applies the next entry.
    pub fn apply(&mut self, entry: &Entry) {
        let mut recount = Recount::default();
        match &entry.kind {
            EntryKind::Message(_) => {
                self.unread[entry.side.other().index()].push(entry.seq);
                self.spoken.push(LastSpoken { seq: entry.seq, side: entry.side, at: entry.at, text: entry.seq });
            }
            EntryKind::Read { up_to } => {
                let waiting = &mut self.unread[entry.side.index()];
                waiting.retain(|seq| seq > up_to);
                recount.unread = waiting.len() as u64;
            }
            EntryKind::StatusChanged { .. } => {}
            EntryKind::Edited { target, .. } => {
                if let Ok(index) = self.place(target.seq) {
                    self.spoken[index].text = entry.seq;
                }
            }
            EntryKind::Deleted { target } => {
                self.unread[target.side.other().index()].retain(|seq| *seq != target.seq);
                if let Ok(index) = self.place(target.seq) {
                    self.spoken.remove(index);
                }
            }
        }
        if self.summary.conversation.members.is_with_oneself() {
            recount.unread = 0;
        }
        self.summary.apply(entry, recount);
        self.summary.last_message = None;
    }

    fn place(&self, seq: Seq) -> Result<usize, usize> {
        self.spoken.binary_search_by_key(&seq, |spoken| spoken.seq)
    }

    /// The current state without the last message, which is [`last_spoken`](Self::last_spoken).
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The last message that was not deleted.
    #[must_use]
    pub fn last_spoken(&self) -> Option<LastSpoken> {
        self.spoken.last().copied()
    }
}
