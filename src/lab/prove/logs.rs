//! The stored logs.

use std::collections::{BTreeMap, HashMap};

use super::actor::{Actor, Face};
use super::transcript::Naming;
use crate::domain::{Conversation, Entry, EntryKind, Seq, Side, Timestamp, UserId};
use crate::store::{ConversationStore, ListFor, MAX_PAGE, StoreError};

/// All conversations.
pub(super) struct Logs {
    pub(super) all: Vec<StoredConversation>,
    /// Index of each, by each of its names.
    places: HashMap<String, usize>,
}

impl Logs {
    /// Reads all conversations.
    pub(super) async fn read(store: &dyn ConversationStore, agent: UserId) -> Result<Self, StoreError> {
        let mut all = Vec::new();
        for summary in store.list(ListFor::Agent(agent), MAX_PAGE).await? {
            let mut kept = StoredConversation::new(summary.conversation, summary.last_seq);
            let mut after = Seq::ZERO;
            loop {
                let page: Vec<Entry> = store.entries_after(summary.conversation.id, after, MAX_PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.seq;
                for entry in &page {
                    kept.take_in(entry);
                }
            }
            all.push(kept);
        }
        let names =
            all.iter().enumerate().flat_map(|(place, kept)| kept.names.iter().map(move |name| (name.clone(), place)));
        let places = names.collect();
        Ok(Self { all, places })
    }

    /// The conversation with this name on a face.
    pub(super) fn called(&self, face: Face, name: &str) -> Option<&StoredConversation> {
        self.places.get(name).map(|place| &self.all[*place]).filter(|kept| kept.name(face) == name)
    }
}

/// A stored conversation.
pub(super) struct StoredConversation {
    pub(super) conversation: Conversation,
    /// Messages by seq.
    pub(super) messages: BTreeMap<u64, StoredMessage>,
    /// Edits and deletions by seq: the id of the message, and its new text.
    pub(super) changes: BTreeMap<u64, (String, Option<String>)>,
    /// The seq of the newest entry.
    pub(super) last: u64,
    /// Seqs of the messages by number.
    seqs: HashMap<u64, u64>,
    /// Id, UUID and number.
    names: [String; 3],
}

/// A stored message.
pub(super) struct StoredMessage {
    pub(super) number: u64,
    pub(super) author: UserId,
    pub(super) side: Side,
    pub(super) at: Timestamp,
    /// All its texts, oldest first.
    pub(super) texts: Vec<String>,
    /// Current text; `None` if it is deleted.
    pub(super) now: Option<String>,
}

impl StoredConversation {
    fn new(conversation: Conversation, last: Seq) -> Self {
        let uuid = uuid::Uuid::from_u128(conversation.uuid).hyphenated().to_string();
        let names = [conversation.id.to_string(), uuid, conversation.number.to_string()];
        let (messages, changes, seqs) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        Self { conversation, messages, changes, last: last.get(), seqs, names }
    }

    fn take_in(&mut self, entry: &Entry) {
        let seq = entry.seq.get();
        match &entry.kind {
            EntryKind::Message(message) => {
                let texts = vec![message.original.as_str().to_owned()];
                let now = message.text().map(|text| text.as_str().to_owned());
                let (number, author, side, at) = (message.number, entry.author, entry.side, entry.at);
                self.seqs.insert(number, seq);
                self.messages.insert(seq, StoredMessage { number, author, side, at, texts, now });
            }
            EntryKind::Edited { target, body } => {
                self.changes.insert(seq, (target.id.to_string(), Some(body.as_str().to_owned())));
                if let Some(message) = self.messages.get_mut(&target.seq.get()) {
                    message.texts.push(body.as_str().to_owned());
                }
            }
            EntryKind::Deleted { target } => drop(self.changes.insert(seq, (target.id.to_string(), None))),
            EntryKind::Read { .. } | EntryKind::StatusChanged { .. } => {}
        }
    }

    /// Name of the conversation on a face.
    pub(super) fn name(&self, face: Face) -> &str {
        let [id, uuid, number] = &self.names;
        match face {
            Face::Socketio | Face::Polling | Face::Classic | Face::Page => id,
            Face::Storefront => uuid,
            Face::Drivecash => number,
        }
    }

    /// The seq of a message that a client names.
    pub(super) fn seq_of(&self, naming: Naming, named: u64) -> Option<u64> {
        match naming {
            Naming::Seq => Some(named),
            Naming::Number => self.seqs.get(&named).copied(),
        }
    }

    /// A message that a client names.
    pub(super) fn message(&self, naming: Naming, named: u64) -> Option<&StoredMessage> {
        self.messages.get(&self.seq_of(naming, named)?)
    }

    /// The side of a client's person; `None` if they are not a member.
    pub(super) fn side_of(&self, actor: &Actor) -> Option<Side> {
        let me = actor.me.id.parse().ok()?;
        self.conversation.members.side_of(me, actor.me.role.is_agent())
    }
}
