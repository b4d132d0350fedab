//! A log, told from its beginning.

use super::{Conversation, Entry, EntryKind, Seq, Side, Summary};

/// How matters stand after each entry of a log, with nothing looked up: the messages that wait to be read are remembered.
#[derive(Debug, Clone)]
pub struct Replay {
    summary: Summary,
    /// The seqs that each side has not read, oldest first.
    unread: [Vec<Seq>; 2],
}

impl Replay {
    /// Before the first entry.
    #[must_use]
    pub fn opened(conversation: Conversation) -> Self {
        Self { summary: Summary::opened(conversation), unread: [Vec::new(), Vec::new()] }
    }

    /// Takes the next entry into account.
    pub fn follow(&mut self, entry: &Entry) {
        let mut unread_after = 0;
        match &entry.kind {
            EntryKind::Message(_) => self.unread[entry.side.other().index()].push(entry.seq),
            EntryKind::Read { up_to } => {
                let waiting = &mut self.unread[entry.side.index()];
                waiting.retain(|seq| seq > up_to);
                unread_after = waiting.len() as u64;
            }
            EntryKind::StatusChanged { .. } => {}
        }
        if self.summary.conversation.members.is_with_oneself() {
            unread_after = 0;
        }
        self.summary.follow(entry, unread_after);
    }

    /// How matters stand.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// How many messages this side has not read.
    #[must_use]
    pub const fn unread(&self, side: Side) -> u64 {
        self.summary.side(side).unread
    }
}

/// Goes on from where a log stands, given the messages that each side has not read.
impl From<(Summary, [Vec<Seq>; 2])> for Replay {
    fn from((summary, unread): (Summary, [Vec<Seq>; 2])) -> Self {
        Self { summary, unread }
    }
}
