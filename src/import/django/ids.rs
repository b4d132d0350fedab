//! Derives ids from the rows of the old database, so that a second run finds what the first one created.

use sha2::{Digest as _, Sha256};

use super::Source;
use crate::domain::{ClientMessageId, ConversationId, MessageId, Timestamp, UserId};

/// Makes the ids of one source.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    source: Source,
}

impl Ids {
    pub(super) const fn new(source: Source) -> Self {
        Self { source }
    }

    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn account(&self, pk: u64, at: Timestamp) -> UserId {
        UserId::from_bytes(self.bytes("user", pk.into(), at))
    }

    /// Somebody without an account, known by their room alone.
    pub(super) fn visitor(&self, room: u128, at: Timestamp) -> UserId {
        UserId::from_bytes(self.bytes("visitor", room, at))
    }

    /// Whoever spoke for the desk and is not known here. There is no such account, so it is shown as a deleted one.
    pub(super) fn nobody(&self) -> UserId {
        UserId::from_bytes(self.bytes("nobody", 0, Timestamp::default()))
    }

    pub(super) fn conversation(&self, room: u128, at: Timestamp) -> ConversationId {
        ConversationId::from_bytes(self.bytes("chatroom", room, at))
    }

    pub(super) fn message(&self, pk: u64, at: Timestamp) -> MessageId {
        MessageId::from_bytes(self.bytes("chatmessage", pk.into(), at))
    }

    /// What an attachment's file is called here.
    pub(super) fn file(&self, message: u64) -> String {
        crate::accounts::codes::digest(&self.key("attachment", message.into()))[..32].to_owned()
    }

    /// By this a message of the log is known to be of this source.
    pub(super) fn client_id(&self, pk: u64) -> Option<ClientMessageId> {
        format!("{}{pk}", self.prefix()).parse().ok()
    }

    /// The row that this message of the log was; `None` if it was said here.
    pub(super) fn pk(&self, client_id: &ClientMessageId) -> Option<u64> {
        client_id.as_str().strip_prefix(&self.prefix())?.parse().ok()
    }

    fn prefix(&self) -> String {
        format!("django:{}:", self.source)
    }

    fn key(&self, model: &str, pk: u128) -> String {
        format!("{}\n{model}\n{pk}", self.source)
    }

    /// Seconds first, as in all ids, so that they sort by age.
    fn bytes(&self, model: &str, pk: u128, at: Timestamp) -> [u8; 12] {
        let digest = Sha256::digest(self.key(model, pk).as_bytes());
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&u32::try_from(at.seconds()).unwrap_or_default().to_be_bytes());
        bytes[4..].copy_from_slice(&digest[..8]);
        bytes
    }
}
