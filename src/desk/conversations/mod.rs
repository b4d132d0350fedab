//! Conversations: lists, access to one of them, attachments.

mod access;
mod attachment;
mod list_conversations;
mod merge_visitor;

pub use access::{AccessError, ConversationAccess, ConversationName, Credential};
pub use list_conversations::ListedConversation;
pub(super) use list_conversations::{list_for, other_than};
