//! Derives ids from the rows of the old database, so that a second run finds what the first one created.

use sha2::{Digest as _, Sha256};

use super::Source;
use crate::domain::{ClientMessageId, ConversationId, MessageId, Timestamp, UserId};

/// Derives the ids of one source.
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

    /// The visitor of a room without an account.
    pub(super) fn visitor(&self, room: u128, at: Timestamp) -> UserId {
        UserId::from_bytes(self.bytes("visitor", room, at))
    }

    /// The author of the desk's messages whose agent is unknown. There is no such account, so it is shown as a deleted one.
    pub(super) fn nobody(&self) -> UserId {
        UserId::from_bytes(self.bytes("nobody", 0, Timestamp::default()))
    }

    pub(super) fn conversation(&self, room: u128, at: Timestamp) -> ConversationId {
        ConversationId::from_bytes(self.bytes("chatroom", room, at))
    }

    pub(super) fn message(&self, pk: u64, at: Timestamp) -> MessageId {
        MessageId::from_bytes(self.bytes("chatmessage", pk.into(), at))
    }

    /// The name of an attachment on disk.
    pub(super) fn file(&self, message: u64) -> String {
        crate::accounts::codes::digest(&self.key("attachment", message.into()))[..32].to_owned()
    }

    /// The client message id of an imported message, which names its source.
    pub(super) fn client_id(&self, pk: u64) -> Option<ClientMessageId> {
        format!("{}{pk}", self.prefix()).parse().ok()
    }

    /// The row of an imported message; `None` if it was sent here.
    pub(super) fn pk(&self, client_id: &ClientMessageId) -> Option<u64> {
        client_id.as_str().strip_prefix(&self.prefix())?.parse().ok()
    }

    fn prefix(&self) -> String {
        format!("django:{}:", self.source)
    }

    fn key(&self, model: &str, pk: u128) -> String {
        format!("{}\n{model}\n{pk}", self.source)
    }

    /// The id starts with seconds, as all ids do, so that ids sort by age.
    fn bytes(&self, model: &str, pk: u128, at: Timestamp) -> [u8; 12] {
        let digest = Sha256::digest(self.key(model, pk).as_bytes());
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&u32::try_from(at.seconds()).unwrap_or_default().to_be_bytes());
        bytes[4..].copy_from_slice(&digest[..8]);
        bytes
    }
}
